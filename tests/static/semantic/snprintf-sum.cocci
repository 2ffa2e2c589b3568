// SPDX-License-Identifier: GPL-2.0
// snprintf() returns what it would have written: a sum of that may pass the end of the buffer.
virtual report

@r@
expression n, b, s;
position p;
@@

(
* n += snprintf@p(b + n, s - n, ...)
|
* n += vsnprintf@p(b + n, s - n, ...)
|
* n += snprintf@p(&b[n], s - n, ...)
)

@script:python depends on report@
p << r.p;
@@

coccilib.report.print_report(p[0], "may count past the end of the buffer")
