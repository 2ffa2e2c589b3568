// SPDX-License-Identifier: GPL-2.0
// If realloc() fails, the pointer that it replaces is lost.
virtual report

@r@
expression x;
position p;
@@

(
* x = realloc@p(x, ...)
|
* x = reallocarray@p(x, ...)
|
* x = krealloc@p(x, ...)
)

@script:python depends on report@
p << r.p;
@@

coccilib.report.print_report(p[0], "the old memory is lost if this fails")
