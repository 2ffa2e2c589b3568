/* SPDX-License-Identifier: GPL-2.0 */
/* What the files of the module share. */
#ifndef APF_TEST_H
#define APF_TEST_H

#include <linux/kprobes.h>
#include <linux/types.h>

struct kvm_vcpu_pv_apf_data;

/* main.c */
u32 test_token(unsigned int vcpu);
int test_probe(struct kprobe *kp, const char *name, kprobe_pre_handler_t handler,
	       kprobe_post_handler_t after);
void test_unprobe(struct kprobe *kp);
int test_find_wait(void (**ret_fn)(u32 token));
bool test_spoil(atomic_t *left);

/* Numbers of vCPUs in tokens that no guest of the lab has. */
enum { VCPU_NOBODY = 0xfff, VCPU_BENCH = 0xffe };

extern const struct kernel_param_ops test_count_ops;
extern unsigned int test_ms;

/* slot.c: what the host writes, written by us */
struct kvm_vcpu_pv_apf_data *test_area(void);
bool test_post(u32 token);
void test_interrupt(void);
void test_slot_uninit(void);

/* event.c, fault.c */
void test_event_uninit(void);
void test_fault_uninit(void);

#endif
