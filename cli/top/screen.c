// SPDX-License-Identifier: GPL-2.0
#include "screen.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include <curses.h>

#include "apf/cleanup.h"
#include "format.h"

/* All bytes of an escape sequence arrive within this time, even through ssh. */
#define ESCAPE_DELAY_MSEC 50

static const int fatal_signals[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGSYS };

/**
 * struct screen - the only screen
 * @row: row being written; @column: next column in it
 * @attributes: of the row being written
 * @old: the terminal's modes before screen_begin()
 * @reset: escape sequences that restore the terminal; written after a crash
 */
static struct screen {
	SCREEN *curses;
	bool colour;
	size_t row;
	size_t column;
	attr_t attributes;
	struct termios old;
	char reset[128];
	size_t reset_len;
} screen;

/* Calls only functions that are allowed in a signal handler. */
static void on_fatal(int number)
{
	ssize_t r;

	tcsetattr(STDIN_FILENO, TCSANOW, &screen.old);
	r = write(STDOUT_FILENO, screen.reset, screen.reset_len);
	(void)r;
	/* SA_RESETHAND has restored the default action: this ends the program. */
	raise(number);
}

static void catch_fatal(void (*handler)(int number))
{
	struct sigaction action = { .sa_handler = handler, .sa_flags = SA_RESETHAND | SA_NODEFER };

	for (size_t i = 0; i < ELEMENTSOF(fatal_signals); i++)
		sigaction(fatal_signals[i], &action, NULL);
}

static void prepare_reset(void)
{
	static const char *const names[] = { "sgr0", "cnorm", "rmcup", "rmkx" };

	screen.reset_len = 0;
	for (size_t i = 0; i < ELEMENTSOF(names); i++) {
		const char *text = tigetstr(names[i]);
		size_t len;

		if (!text || text == (char *)-1)
			continue;
		len = strlen(text);
		if (screen.reset_len + len > sizeof(screen.reset))
			continue;
		memcpy(screen.reset + screen.reset_len, text, len);
		screen.reset_len += len;
	}
}

int screen_begin(const struct term *term)
{
	if (tcgetattr(STDIN_FILENO, &screen.old) < 0)
		return -ENOTTY;
	/* Ignore LINES and COLUMNS: the shell may not update them after a resize. */
	use_env(FALSE);
	use_tioctl(TRUE);
	screen.curses = newterm(NULL, stdout, stdin);
	if (!screen.curses)
		return -ENOTTY;
	prepare_reset();
	catch_fatal(on_fatal);

	set_escdelay(ESCAPE_DELAY_MSEC);
	cbreak();
	noecho();
	nonl();
	intrflush(stdscr, FALSE);
	keypad(stdscr, TRUE);
	nodelay(stdscr, TRUE);
	curs_set(0);

	screen.colour = term->colour && has_colors();
	if (screen.colour) {
		start_color();
		use_default_colors();
		init_pair(STYLE_GOOD, COLOR_GREEN, -1);
		init_pair(STYLE_MIDDLE, COLOR_CYAN, -1);
		init_pair(STYLE_WARN, COLOR_YELLOW, -1);
	}
	return 0;
}

void screen_end(void)
{
	if (!screen.curses)
		return;
	endwin();
	catch_fatal(SIG_DFL);
	delscreen(screen.curses);
	screen.curses = NULL;
}

void screen_suspend(void)
{
	endwin();
}

void screen_resize(void)
{
	struct winsize size = {};

	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) < 0 || size.ws_row == 0 || size.ws_col == 0)
		return;
	resizeterm(size.ws_row, size.ws_col);
	/* Redraw everything: terminals may move their content after a resize. */
	clearok(stdscr, TRUE);
}

size_t screen_rows(void)
{
	return LINES > 0 ? (size_t)LINES : 1;
}

size_t screen_columns(void)
{
	return COLS > 0 ? (size_t)COLS : 1;
}

void screen_clear(void)
{
	erase();
	screen.row = 0;
	screen.column = 0;
	screen.attributes = A_NORMAL;
}

void screen_row(size_t row, bool reverse)
{
	screen.row = row;
	screen.column = 0;
	screen.attributes = reverse ? A_REVERSE : A_NORMAL;
}

static attr_t attributes_of(enum style style)
{
	switch (style) {
	case STYLE_HEADER:
		return A_BOLD;
	case STYLE_DIM:
		return A_DIM;
	case STYLE_GOOD:
	case STYLE_MIDDLE:
	case STYLE_WARN:
		return screen.colour ? (attr_t)COLOR_PAIR(style) : A_NORMAL;
	default:
		return A_NORMAL;
	}
}

void screen_write(enum style style, const char *text)
{
	size_t left = screen_columns();
	_cleanup_free_ char *cut = NULL;

	left = left > screen.column ? left - screen.column : 0;
	if (left == 0 || screen.row >= screen_rows())
		return;
	/* No ellipsis: columns to the right are cut off without one, too. */
	cut = text_fit(text, left, "");
	if (!cut)
		return;
	attrset(screen.attributes | attributes_of(style));
	mvaddstr((int)screen.row, (int)screen.column, cut);
	screen.column += text_columns(cut);
}

void screen_blanks(size_t n)
{
	if (screen.row >= screen_rows())
		return;
	attrset(screen.attributes);
	for (; n > 0 && screen.column < screen_columns(); n--, screen.column++)
		mvaddch((int)screen.row, (int)screen.column, ' ');
}

void screen_fill(void)
{
	screen_blanks(screen_columns());
}

void screen_show(void)
{
	refresh();
}

int screen_key(void)
{
	static const struct {
		int curses;
		int key;
	} keys[] = {
		{ KEY_UP, SCREEN_KEY_UP },	   { KEY_DOWN, SCREEN_KEY_DOWN },
		{ KEY_LEFT, SCREEN_KEY_LEFT },	   { KEY_RIGHT, SCREEN_KEY_RIGHT },
		{ KEY_PPAGE, SCREEN_KEY_PAGE_UP }, { KEY_NPAGE, SCREEN_KEY_PAGE_DOWN },
		{ KEY_HOME, SCREEN_KEY_HOME },	   { KEY_END, SCREEN_KEY_END },
		{ KEY_ENTER, SCREEN_KEY_ENTER },   { '\r', SCREEN_KEY_ENTER },
		{ '\n', SCREEN_KEY_ENTER },	   { KEY_BACKSPACE, SCREEN_KEY_BACK },
		{ '\b', SCREEN_KEY_BACK },	   { 0x7f, SCREEN_KEY_BACK },
		{ 0x1b, SCREEN_KEY_BACK },
	};
	int c;

	/* Skip KEY_RESIZE: it is not a key, and SIGWINCH has its own handler. */
	do
		c = getch();
	while (c == KEY_RESIZE);
	if (c == ERR)
		return SCREEN_KEY_NONE;
	for (size_t i = 0; i < ELEMENTSOF(keys); i++)
		if (keys[i].curses == c)
			return keys[i].key;
	return c >= ' ' && c < 0x7f ? c : SCREEN_KEY_OTHER;
}
