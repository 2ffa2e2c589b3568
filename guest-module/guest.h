/* SPDX-License-Identifier: GPL-2.0 */
/* Declarations that the files of the module share. */
#ifndef APF_GUEST_H
#define APF_GUEST_H

#include <linux/cpumask.h>
#include <linux/percpu.h>
#include <linux/smp.h>
#include <linux/types.h>
#include <linux/workqueue.h>
#include <uapi/apf_guest.h>

#include "table.h"

struct kvm_vcpu_pv_apf_data;
struct pt_regs;

/**
 * struct apf_vcpu - data of one CPU
 * @core: the CPU's part of the table
 * @msr_on: value of MSR_KVM_ASYNC_PF_EN before we switched APF off, to be restored; 0 if none
 * @area: APF data area, NULL until the CPU was online. Memory of the kernel, so it stays valid
 * @report: address of the report block, NULL if there is none. Only the CPU itself writes it
 * @seq: sequence count of the report; not reset when the block is removed
 * @csd: runs apf_table_sync() on this CPU
 * @kicked: @csd is queued and has not started; allows only one caller to queue @csd
 * @entered: number of tasks that entered apf_guest_wait() here
 * @left: number of tasks that left it here. When no task is inside, the sums over all CPUs are
 *	equal
 * @broadcasts: number of page-ready events for all tokens that arrived in the hook here
 * @reported: number of ended waits and dropped early wakes at the last run of the timer
 * @slot_work: frees the page-ready slot, on this CPU
 * @slot_token: token in the slot at the last scan, 0 if none or if @slot_work has run
 * @slot_since: when @slot_token was first seen, in jiffies
 * @stuck: number of times the slot was freed
 */
struct apf_vcpu {
	struct apf_cpu core;
	u64 msr_on;
	struct kvm_vcpu_pv_apf_data *area;
	struct apf_guest_report *report;
	u32 seq;
	call_single_data_t csd;
	atomic_t kicked;
	unsigned long entered;
	unsigned long left;
	u32 broadcasts;
	u32 reported;
	struct work_struct slot_work;
	u32 slot_token;
	unsigned long slot_since;
	u32 stuck;
};

/* vcpu.c */
DECLARE_PER_CPU(struct apf_vcpu, apf_vcpu);
extern struct apf_table apf_table;

/* cpu.c: the CPUs and their MSR, online and offline */
int apf_cpu_init(unsigned int rescue_ms, unsigned int age_ms);
void apf_cpu_uninit(void);
void apf_cpu_up(bool switching, bool reporting);
void apf_cpu_down(void);
int apf_cpu_msr(unsigned int cpu, u64 *ret_val);
int apf_cpu_each(long (*fn)(void *arg), void *arg);

/* switch.c: from the kernel's table to ours and back */
int apf_switch_takeover(void);
int apf_switch_prove(void);
void apf_switch_go(void);
void apf_switch_stop(void);
void apf_switch_end(bool kernel_sleepers);

/* sleep.c: sleeping and waking tasks, and the timer */
int apf_sleep_init(void (*useless)(void));
void apf_sleep_close(void);
void apf_sleep_uninit(void);
void apf_sleep_arm(void);
bool apf_sleep_inside(void);
void apf_sleep_wake_task(struct apf_table *t, void *task);
void *apf_sleep_alloc(struct apf_table *t);
void apf_sleep_free(struct apf_table *t, void *entry);
void apf_guest_wait(u32 token);
void apf_guest_wake(u32 token);

/* hook.c: the hooks in two functions of the kernel */
int apf_hook_init(void);
int apf_hook_uninit(void);

/* slot.c: the page-ready event in the data area of a CPU */
void apf_slot_init(void);
struct kvm_vcpu_pv_apf_data *apf_slot_area(u64 msr);
void apf_slot_open(void);
void apf_slot_close(void);
bool apf_slot_free(u32 token, bool deliver);
void apf_guest_interrupt(struct pt_regs *regs);

/* report.c: the block that the host reads */
int apf_report_check(void);
void apf_report_attach(void);
void apf_report_detach(void);
void apf_report_update(void);
void apf_report_update_usual(void);

/* sysfs.c: the same figures, for readers in the guest */
int apf_sysfs_init(const bool *active);
void apf_sysfs_uninit(void);

#endif
