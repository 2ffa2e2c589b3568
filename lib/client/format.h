/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Formats numbers and names for people. No I/O.
 */
#ifndef APFCTL_FORMAT_H
#define APFCTL_FORMAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "histogram.h"

/* Enough for every format_*() below. */
#define FORMAT_MAX 32

/* "0 B", "512 B", "1.5 KiB", ... up to EiB. Each returns its buffer. */
char *format_bytes(char buffer[static FORMAT_MAX], uint64_t bytes);

/* "850 ns", "12 us", "1.5 ms", "2.3 s", "5 min 10 s", "3 h 20 min", "12 d 4 h". */
char *format_nsec(char buffer[static FORMAT_MAX], uint64_t nsec);
char *format_usec(char buffer[static FORMAT_MAX], uint64_t usec);

/* A time since the epoch as local time, "2026-11-22 19:30:05 UTC"; and how long ago it was. */
char *format_time(char buffer[static FORMAT_MAX], uint64_t usec);
char *format_age(char buffer[static FORMAT_MAX], uint64_t usec);

/* Events per second: "0", "0.4", "12.5", "1234"; "-" for NAN (not known). */
char *format_rate(char buffer[static FORMAT_MAX], double per_sec);

/* A share of 0.0 to 1.0: "0 %", "<0.1 %", "2.4 %", "97 %"; "-" for NAN. */
char *format_share(char buffer[static FORMAT_MAX], double share);

/* CPU time per second of all vCPUs, as a share of one vCPU: as format_share(), or "230 %". */
char *format_vcpu_share(char buffer[static FORMAT_MAX], double share);

/**
 * text_printable() - makes a text from outside safe to show
 *
 * Control characters, characters that reorder text and bytes that are not UTF-8
 * become \xNN: a VM's name must not control the terminal.
 *
 * Return: allocated text; NULL if out of memory.
 */
char *text_printable(const char *text);

/* Makes each line printable and puts "\n  " before it. Allocated; NULL if out of memory. */
char *text_lines(const char *text);

/* Columns a printable UTF-8 text takes on the screen. */
size_t text_columns(const char *text);

/**
 * text_fit() - shortens a printable UTF-8 text
 * @columns: maximum width
 * @ellipsis: replaces the part left out; one column wide, or ""
 * Return: allocated text; NULL if out of memory.
 */
char *text_fit(const char *text, size_t columns, const char *ellipsis);

/* "< 1 us", "512 us - 1.0 ms", ">= 1074 s": the range of bucket @i of @n. */
char *format_bucket(char buffer[static FORMAT_MAX], unsigned int i, unsigned int n);

/**
 * format_bar() - a bar of '#' for @count where @max fills @width columns
 *
 * A count that is not 0 gets at least one column.
 *
 * @buffer: of @width + 1 bytes
 */
char *format_bar(char *buffer, uint64_t count, uint64_t max, size_t width);

#endif
