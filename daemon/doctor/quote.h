/* SPDX-License-Identifier: GPL-2.0 */
/* Words for a shell. */
#ifndef APFD_QUOTE_H
#define APFD_QUOTE_H

/*
 * quote: @word as a shell must read it, because names of VMs and paths may contain any
 * characters. "--" comes before a word that looks like an option. The caller frees the result;
 * NULL if out of memory.
 */
char *quote(const char *word);

#endif /* APFD_QUOTE_H */
