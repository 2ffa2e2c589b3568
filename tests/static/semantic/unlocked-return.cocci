// SPDX-License-Identifier: GPL-2.0
// A return with a mutex or a raw spinlock held.
virtual report

@r exists@
expression l, flags;
position p;
@@

(
  pthread_mutex_lock(l);
|
  raw_spin_lock_irqsave(l, flags);
|
  raw_spin_lock(l);
|
  mutex_lock(l);
)
  ... when != pthread_mutex_unlock(l)
      when != raw_spin_unlock_irqrestore(l, flags)
      when != raw_spin_unlock(l)
      when != mutex_unlock(l)
      when != pthread_cond_wait(...)
* return@p ...;

@script:python depends on report@
p << r.p;
@@

coccilib.report.print_report(p[0], "returns with the lock held")
