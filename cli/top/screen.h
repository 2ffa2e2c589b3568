/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Full-screen output on the terminal. Only this file uses ncurses. There is one
 * screen, because there is one terminal.
 */
#ifndef APFCTL_SCREEN_H
#define APFCTL_SCREEN_H

#include <stdbool.h>
#include <stddef.h>

#include "term.h"

/* Keys that are not a character. */
enum screen_key {
	SCREEN_KEY_NONE = -1,
	SCREEN_KEY_UP = 0x1000,
	SCREEN_KEY_DOWN,
	SCREEN_KEY_LEFT,
	SCREEN_KEY_RIGHT,
	SCREEN_KEY_PAGE_UP,
	SCREEN_KEY_PAGE_DOWN,
	SCREEN_KEY_HOME,
	SCREEN_KEY_END,
	SCREEN_KEY_ENTER,
	SCREEN_KEY_BACK,
	SCREEN_KEY_OTHER,
};

/**
 * screen_begin() - switches the terminal to full-screen mode
 *
 * Until screen_end(), nothing else may write to standard output. The terminal is also
 * restored after a crash; the caller handles signals that end or stop the program.
 *
 * Return: 0, or -ENOTTY if the terminal type is unknown.
 */
int screen_begin(const struct term *term);

/* Restores the terminal; may be called without screen_begin(). */
void screen_end(void);

/* Restores the terminal for a while; the next screen_show() ends that. */
void screen_suspend(void);

/* Reads the size of the terminal again. */
void screen_resize(void);

size_t screen_rows(void);
size_t screen_columns(void);

/* Begins a new, empty screen. */
void screen_clear(void);

/* Goes to the beginning of a row; text below the last row is dropped. */
void screen_row(size_t row, bool reverse);

/* Write at the current column; text to the right of the last column is dropped. */
void screen_write(enum style style, const char *text);
void screen_blanks(size_t n);

/* Fills the rest of the row with blanks: old text is covered, a reversed row is complete. */
void screen_fill(void);

/* Shows what was written since screen_clear(). */
void screen_show(void);

/* Returns a pressed key, as a character or enum screen_key. Does not wait. */
int screen_key(void);

#endif
