// SPDX-License-Identifier: GPL-2.0
#include "term.h"

#include <langinfo.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "apf/cleanup.h"
#include "names.h"

/* For terminals that do not report a size (a serial line). */
#define COLUMNS_DEFAULT 80
#define ROWS_DEFAULT	24

void term_read_size(struct term *term)
{
	struct winsize size = {};

	if (!term->tty)
		return;
	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) < 0)
		size = (struct winsize){};
	term->columns = size.ws_col ?: COLUMNS_DEFAULT;
	term->rows = size.ws_row ?: ROWS_DEFAULT;
}

void term_init(struct term *term)
{
	const char *name = getenv("TERM");
	const char *no_colour = getenv("NO_COLOR");

	*term = (struct term){};

	/* Not LC_NUMERIC: the decimal point must not depend on the locale. */
	setlocale(LC_CTYPE, "");
	term->utf8 = strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
	/* wcwidth() must know the characters of names even in the C locale. */
	if (!term->utf8)
		setlocale(LC_CTYPE, "C.UTF-8");

	term->tty = isatty(STDOUT_FILENO);
	term->cursor = term->tty && name && name[0] != '\0' && strcmp(name, "dumb") != 0;
	term->colour = term->cursor && !(no_colour && no_colour[0] != '\0');
	term_read_size(term);
}

static const char *const style_begin[] = {
	[STYLE_NONE] = "",	     [STYLE_HEADER] = "\033[1m", [STYLE_GOOD] = "\033[32m",
	[STYLE_MIDDLE] = "\033[36m", [STYLE_WARN] = "\033[33m",	 [STYLE_BAD] = "\033[1;31m",
	[STYLE_DIM] = "\033[2m",
};

const char *term_style(const struct term *term, enum style style)
{
	return term->colour ? style_begin[style] : "";
}

const char *term_style_end(const struct term *term, enum style style)
{
	return term->colour && style != STYLE_NONE ? "\033[0m" : "";
}

enum style style_of_state(const char *state)
{
	static const struct {
		const char *state;
		enum style style;
	} styles[] = {
		{ NAME_ON, STYLE_GOOD },    { NAME_PV, STYLE_MIDDLE },	 { NAME_OFF, STYLE_WARN },
		{ NAME_MIXED, STYLE_WARN }, { NAME_UNKNOWN, STYLE_DIM },
	};

	for (size_t i = 0; i < ELEMENTSOF(styles); i++)
		if (strcmp(state, styles[i].state) == 0)
			return styles[i].style;
	return STYLE_NONE;
}
