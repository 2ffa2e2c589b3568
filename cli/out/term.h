/* SPDX-License-Identifier: GPL-2.0 */
#ifndef APFCTL_TERM_H
#define APFCTL_TERM_H

#include <stdbool.h>

/**
 * struct term - capabilities of standard output
 * @tty: standard output is a terminal
 * @cursor: the cursor can be moved (a terminal that is not "dumb")
 * @colour: use colour: @cursor is true and NO_COLOR is not set
 * @utf8: the locale's character set is UTF-8
 * @columns: width, 0 if not a terminal: then no text is shortened
 * @rows: height, 0 if not a terminal
 */
struct term {
	bool tty;
	bool cursor;
	bool colour;
	bool utf8;
	unsigned int columns;
	unsigned int rows;
};

/* Fills @term in; also sets LC_CTYPE, and no other locale category. */
void term_init(struct term *term);

/* Reads the size again. */
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

/* Escape sequences that begin and end @style; "" without colour. */
const char *term_style(const struct term *term, enum style style);
const char *term_style_end(const struct term *term, enum style style);

/* Style of a state's name. Colour is never the only sign: the name is always shown. */
enum style style_of_state(const char *state);

#endif
