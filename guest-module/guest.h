/* SPDX-License-Identifier: GPL-2.0 */
/* What the files of the module share. */
#ifndef APF_GUEST_H
#define APF_GUEST_H

#include <linux/cpumask.h>
#include <linux/percpu.h>
#include <linux/smp.h>
#include <linux/types.h>
#include <uapi/apf_guest.h>

#include "table.h"

struct kobject;

/**
 * struct apf_vcpu - one CPU of the module
 * @core: its part of the table
 * @msr_on: value of MSR_KVM_ASYNC_PF_EN that we switched off and owe back; 0 for none
 * @report: where its report block is; NULL while it has none. Written by the CPU itself only
 * @seq: of the report; survives the block
 * @csd: brings apf_table_sync() to this CPU
 * @kicked: @csd is queued and has not started; serialises those who queue it
 * @entered: tasks that went into apf_guest_wait() here
 * @left: tasks that came out of it here. The sums over all CPUs are equal when nobody is inside
 * @reported: waits ended and early wakes aged when the timer last looked
 */
struct apf_vcpu {
	struct apf_cpu core;
	u64 msr_on;
	struct apf_guest_report *report;
	u32 seq;
	call_single_data_t csd;
	atomic_t kicked;
	unsigned long entered;
	unsigned long left;
	u32 reported;
};

DECLARE_PER_CPU(struct apf_vcpu, apf_vcpu);
extern struct apf_table apf_table;

/* main.c: parameters */
extern unsigned int apf_pool;
extern unsigned int apf_rescue_ms;
extern unsigned int apf_age_ms;
extern bool apf_fault_injection;

/* cpu.c: the CPUs, their MSR, going on and off */
int apf_cpu_init(void);
void apf_cpu_uninit(void);
int apf_cpu_takeover(void);
void apf_cpu_abort(void);
void apf_cpu_go(void);
void apf_cpu_handback_begin(void);
void apf_cpu_handback_end(void);
int apf_cpu_msr(unsigned int cpu, u64 *ret_val);

/* sleep.c: the task and the timer side of the table */
int apf_sleep_init(void);
void apf_sleep_close(void);
void apf_sleep_uninit(void);
void apf_sleep_arm(void);
bool apf_sleep_inside(void);
bool apf_sleep_in(struct apf_table *t, unsigned int cpu, u32 token);
void apf_sleep_wake_task(struct apf_table *t, void *task);
void apf_guest_wait_schedule(u32 token);
void apf_guest_task_wake(u32 token);
void *apf_sleep_alloc(struct apf_table *t);
void apf_sleep_free(struct apf_table *t, void *entry);

/* hook.c: the two functions of the kernel */
int apf_hook_init(void);
void apf_hook_uninit(void);

/* report.c: the block the host reads */
int apf_report_check(u64 msr);
void apf_report_attach(u64 msr);
void apf_report_detach(void);
void apf_report_update(void);
void apf_report_usual(void);

/* sysfs.c: the same figures in the guest */
int apf_sysfs_init(void);
void apf_sysfs_uninit(void);

/* inject.c: faults on purpose */
int apf_inject_init(void);
void apf_inject_uninit(void);
bool apf_inject_alloc(void);
bool apf_inject_wake(unsigned int cpu, u32 token);
void apf_inject_wait(unsigned int cpu, u32 token);

/* selftest.c */
int apf_selftest_run(void);
int apf_selftest_result(char *buf);

#endif
