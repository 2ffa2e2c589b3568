// SPDX-License-Identifier: GPL-2.0
// The size of a pointer instead of that of what it points to.
virtual report

@r@
type T;
T *x;
expression f;
position p;
@@

(
* memset@p(x, f, sizeof(x))
|
* memcpy@p(x, f, sizeof(x))
|
* memcpy@p(f, x, sizeof(x))
)

@script:python depends on report@
p << r.p;
@@

coccilib.report.print_report(p[0], "the size of a pointer")
