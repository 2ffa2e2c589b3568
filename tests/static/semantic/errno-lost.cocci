// SPDX-License-Identifier: GPL-2.0
// What runs between a call and the look at errno may change errno.
virtual report

@r@
position p;
symbol errno;
@@

(
* close(...);
|
* fclose(...);
|
* munmap(...);
|
* unlink(...);
)
  return -errno@p;

@script:python depends on report@
p << r.p;
@@

coccilib.report.print_report(p[0], "errno is that of the call before this, not of the one that failed")
