/* SPDX-License-Identifier: GPL-2.0 */
#ifndef APFCTL_TERM_H
#define APFCTL_TERM_H

#include <stdbool.h>

/**
 * struct term - what standard output can do
 * @tty: it is a terminal
 * @cursor: the cursor can be moved (a terminal that is not "dumb")
 * @colour: colour is wanted: @cursor and no NO_COLOR
 * @utf8: the locale's characters are UTF-8
 * @columns: width, 0 if it is no terminal: nothing is shortened then
 * @rows: height, 0 if it is no terminal
 */
struct term {
	bool tty;
	bool cursor;
	bool colour;
	bool utf8;
	unsigned int columns;
	unsigned int rows;
};

/* Finds out; also sets the locale's character type, and only that. */
void term_init(struct term *term);

/* Asks for the size again. */
void term_read_size(struct term *term);

enum style {
	STYLE_NONE,
	STYLE_HEADER,
	STYLE_GOOD,
	STYLE_MIDDLE,
	STYLE_WARN,
	STYLE_BAD,
	STYLE_DIM,
};

/* Escape sequence that begins @style; "" where there is no colour. */
const char *term_style(const struct term *term, enum style style);
const char *term_style_end(const struct term *term, enum style style);

/* Style of a state's name; the name itself is always shown too. */
enum style style_of_state(const char *state);

#endif
