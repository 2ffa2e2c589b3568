/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The whole terminal as a screen. All contact with ncurses is here; there is one
 * screen, as there is one terminal.
 */
#ifndef APFCTL_SCREEN_H
#define APFCTL_SCREEN_H

#include <stdbool.h>
#include <stddef.h>

#include "term.h"

/* Keys that are no character. */
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
 * screen_begin() - takes the terminal
 *
 * Until screen_end(), standard output is the screen's alone. A crash gives the
 * terminal back, too; signals that end or stop the program are the caller's.
 *
 * Return: 0, or -ENOTTY if nothing is known of this terminal.
 */
int screen_begin(const struct term *term);

/* Gives it back as it was; may be called without screen_begin(). */
void screen_end(void);

/* Gives it back for a while; the next screen_show() takes it again. */
void screen_suspend(void);

/* Asks the terminal how large it is now. */
void screen_resize(void);

size_t screen_rows(void);
size_t screen_columns(void);

/* Begins a new picture, empty. */
void screen_clear(void);

/* Goes to the beginning of a row; what is written below the last one is lost. */
void screen_row(size_t row, bool reverse);

/* Writes at the place reached; what is right of the last column is lost. */
void screen_write(enum style style, const char *text);
void screen_blanks(size_t n);

/* Fills the row: it is reversed to its end, and covers what was there before. */
void screen_fill(void);

/* Shows the picture. */
void screen_show(void);

/* A key that was pressed, as a character or enum screen_key. */
int screen_key(void);

#endif
