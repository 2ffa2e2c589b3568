// SPDX-License-Identifier: GPL-2.0
/*
 * Every contact with KVM's internals.
 *
 * The module only ever suppresses: it answers "no" where KVM asked itself
 * whether an asynchronous page fault may be started. It injects nothing and
 * touches none of KVM's lists.
 *
 *  where                             kind       what for
 *  kvm_can_do_async_pf()             kretprobe  the gate
 *  kvm_faultin_pfn()                 kretprobe  synchronous stalls
 *  kvm_arch_async_page_not_present() kretprobe  told to the guest, or halted
 *  kvm_clear_async_pf_completion_queue() kprobe outstanding pages forgotten
 *  kvm_arch_destroy_vm()             ftrace     the VM dies
 *  kvm_async_pf_not_present          tracepoint swap-in started
 *  kvm_async_pf_ready                tracepoint swap-in done
 *  kvm_async_pf_repeated_fault       tracepoint outstanding page touched again
 *
 * Context: all but two in the vCPU's thread, inside KVM_RUN, with the vCPU
 * loaded and its mutex held, so kvm_get_running_vcpu() names it.
 * kvm_arch_destroy_vm() runs in whichever process drops the last reference,
 * when no vCPU can run any more; kvm_clear_async_pf_completion_queue() in the
 * vCPU's thread, in the one that creates a vCPU, which is not to be found yet,
 * or, for the last time, inside kvm_arch_destroy_vm(), when its VM is not to be
 * found any more.
 *
 * Locks: handlers may not sleep; but for the ftrace one preemption is off. They take
 * rcu_read_lock() to find the VM and, for a dying one, gone_lock. None of the
 * probed functions is called with a lock held that the handlers take.
 *
 * Lifetime: apf_host uses symbols of kvm.ko, so kvm.ko cannot go away first.
 * A struct kvm_vcpu stays for as long as its thread is in a probed function.
 * kvm_faultin_pfn() sleeps between entry and return, so nothing of ours is
 * kept across it: the VM is looked up again. Unregistering waits for running
 * handlers (RCU); a function still in flight then returns past us.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/ftrace.h>
#include <linux/kprobes.h>
#include <linux/ktime.h>
#include <linux/module.h>
#include <linux/sched.h>
#include <linux/tracepoint.h>
#include <uapi/asm/kvm_para.h>

#include "probe.h"
#include "stats.h"
#include "vm.h"

/*
 * How many threads can be inside a probed function at once: each of them may
 * be asleep or preempted there. A VM's vCPUs are bounded by KVM, all VMs'
 * together by nothing, so what does not fit is counted as a miss and the fault
 * is as without the module.
 */
enum {
	MAXACTIVE_SLEEPS = 2048,	/* every fault that waits for a page */
	MAXACTIVE_SHORT = 512,		/* preempted, or KVM writing to a swapped page */
};

static bool nested_guard = true;
module_param(nested_guard, bool, 0644);
MODULE_PARM_DESC(nested_guard,
		 "No asynchronous page fault while a vCPU runs a nested guest (default: Y)");

bool apf_host_probe_nested_guard(void)
{
	return READ_ONCE(nested_guard);
}

/*
 * The watched vCPU behind KVM's, or NULL; *ret_vm is its VM if that is watched.
 *
 * A vCPU that is being created passes through probed functions with its index
 * still 0, in the thread of the ioctl, and would be taken for vCPU 0, whose
 * figures only vCPU 0's thread may touch: KVM itself must know it by its index.
 */
static struct apf_host_vcpu *vcpu_find_vm(struct kvm_vcpu *vcpu, struct apf_host_vm **ret_vm)
{
	struct apf_host_vm *vm = apf_host_vm_find(vcpu->kvm);

	*ret_vm = vm;
	if (!vm || kvm_get_vcpu(vcpu->kvm, vcpu->vcpu_idx) != vcpu)
		return NULL;
	return apf_host_vm_vcpu(vm, vcpu->vcpu_idx);
}

static struct apf_host_vcpu *vcpu_find(struct kvm_vcpu *vcpu)
{
	struct apf_host_vm *vm;

	return vcpu_find_vm(vcpu, &vm);
}

/**
 * apf_host_probe_running() - the watched vCPU whose thread this is
 *
 * Context: any; under rcu_read_lock().
 * Return: the vCPU, or NULL if this is no vCPU thread or its VM is not watched.
 */
struct apf_host_vcpu *apf_host_probe_running(void)
{
	struct kvm_vcpu *vcpu = kvm_get_running_vcpu();

	return vcpu ? vcpu_find(vcpu) : NULL;
}

/**
 * apf_host_probe_guest_apf() - what the guest asked KVM for
 * @vcpu: the vCPU, running or not
 *
 * Only msr_en_val is looked at: the other fields of arch.apf move or vanish
 * between releases. KVM delivers nothing unless the guest chose delivery by
 * interrupt (KVM_ASYNC_PF_DELIVERY_AS_INT), whatever else it enabled.
 *
 * Return: &enum apf_guest_apf.
 */
u32 apf_host_probe_guest_apf(struct kvm_vcpu *vcpu)
{
	const u64 wanted = KVM_ASYNC_PF_ENABLED | KVM_ASYNC_PF_DELIVERY_AS_INT;
	u64 msr = READ_ONCE(vcpu->arch.apf.msr_en_val);

	if ((msr & wanted) != wanted)
		return APF_GUEST_APF_OFF;
	return msr & KVM_ASYNC_PF_SEND_ALWAYS ? APF_GUEST_APF_ALWAYS : APF_GUEST_APF_USER;
}

/* Where the guest put its report, or 0: it names no area to KVM. */
static gpa_t vcpu_report_gpa(struct kvm_vcpu *vcpu)
{
	/* The enable bit does not matter: the guest clears it while paused. */
	gpa_t area = READ_ONCE(vcpu->arch.apf.msr_en_val) & ~(u64)0x3f;

	return area ? area + APF_GUEST_REPORT_OFFSET : 0;
}

/*
 * Look at the report from the vCPU's own thread, in a probe. KVM_RUN holds
 * kvm->srcu there, and the guest's side of this vCPU is not running, so one
 * copy is all of a piece.
 */
static void report_look(struct apf_host_vm *vm, struct apf_host_vcpu *v, struct kvm_vcpu *vcpu)
{
	struct apf_host_report *r = &v->report;
	struct apf_guest_report raw;
	u64 now_nsec = ktime_get_ns();
	gpa_t gpa;

	if (!READ_ONCE(r->paused) && now_nsec - READ_ONCE(r->looked_nsec) < APF_HOST_LOOK_NSEC)
		return;
	WRITE_ONCE(r->looked_nsec, now_nsec);

	gpa = vcpu_report_gpa(vcpu);
	if (!gpa)
		apf_host_report_none(vm, r, now_nsec);
	else if (!kvm_vcpu_read_guest_atomic(vcpu, gpa, &raw, sizeof(raw)))
		apf_host_report_found(vm, r, &raw, now_nsec);
}

/**
 * apf_host_probe_look_idle() - look at the report from outside of the vCPU's thread
 * @vm: the VM
 * @v: the vCPU
 * @vcpu: KVM's
 *
 * The guest may be writing: two copies that are the same are of a piece. A page
 * that is not in memory is left there: it was not written since, and waiting for
 * it here could take for ever.
 *
 * Context: process, on the VM's mm, in a read section of kvm->srcu.
 */
void apf_host_probe_look_idle(struct apf_host_vm *vm, struct apf_host_vcpu *v,
			      struct kvm_vcpu *vcpu)
{
	u64 now_nsec = ktime_get_ns();
	struct apf_guest_report raw, again;
	gpa_t gpa;
	int i, ret;

	WRITE_ONCE(v->report.looked_nsec, now_nsec);
	gpa = vcpu_report_gpa(vcpu);
	if (!gpa) {
		apf_host_report_none(vm, &v->report, now_nsec);
		return;
	}
	for (i = 0; i < 3; i++) {
		pagefault_disable();
		ret = kvm_read_guest(vcpu->kvm, gpa, &raw, sizeof(raw));
		smp_rmb();
		ret = ret ?: kvm_read_guest(vcpu->kvm, gpa, &again, sizeof(again));
		pagefault_enable();
		if (ret)
			return;
		if (!memcmp(&raw, &again, sizeof(raw))) {
			apf_host_report_found(vm, &v->report, &raw, now_nsec);
			return;
		}
	}
}

static bool vcpu_in_nested_guest(struct kvm_vcpu *vcpu)
{
	return vcpu->arch.hflags & HF_GUEST_MASK;
}

/*
 * Can KVM tell the guest now? kvm_x86_ops, and with it the privilege level, is
 * not exported: in long mode the sign of the instruction pointer tells kernel
 * from user mode. Firmware called by the kernel runs at low addresses and is
 * mistaken for user mode; KVM then looks itself and halts the vCPU. Outside of
 * long mode it cannot be told, which counts as "no".
 */
static bool vcpu_deliverable(struct kvm_vcpu *vcpu)
{
	switch (apf_host_probe_guest_apf(vcpu)) {
	case APF_GUEST_APF_OFF:
		return false;
	case APF_GUEST_APF_ALWAYS:
		return !vcpu_in_nested_guest(vcpu);
	default:
		return !vcpu_in_nested_guest(vcpu) && (vcpu->arch.efer & EFER_LMA) &&
		       (long)kvm_get_linear_rip(vcpu) >= 0;
	}
}

/*
 * What the VMM let CPUID offer of KVM. Its leaves are where its signature is:
 * higher than usual if the VM is offered Hyper-V's, too. KVM keeps no pointer
 * to them, so look as the guest does.
 */
static u32 vcpu_features(struct kvm_vcpu *vcpu)
{
	const struct kvm_cpuid_entry2 *entries = vcpu->arch.cpuid_entries;
	int i, n = vcpu->arch.cpuid_nent;
	u32 leaf = 0;

	for (i = 0; i < n && !leaf; i++) {
		u32 signature[3] = { entries[i].ebx, entries[i].ecx, entries[i].edx };

		if ((entries[i].function & 0xffff00ff) == KVM_CPUID_SIGNATURE &&
		    !memcmp(signature, KVM_SIGNATURE, sizeof(signature)))
			leaf = entries[i].function + (KVM_CPUID_FEATURES - KVM_CPUID_SIGNATURE);
	}
	for (i = 0; i < n && leaf; i++)
		if (entries[i].function == leaf)
			return entries[i].eax;
	return 0;
}

/* In the vCPU's thread, whose mutex keeps the entries; once for each vCPU. */
static void features_look(struct apf_host_vm *vm, struct kvm_vcpu *vcpu)
{
	struct apf_host_vcpu *v = apf_host_vm_vcpu_known(vm, vcpu->vcpu_idx);

	/* One that is being created is not it: see vcpu_find_vm(). Nor has it a CPUID. */
	if (!v || v->features_known || kvm_get_vcpu(vcpu->kvm, vcpu->vcpu_idx) != vcpu ||
	    vcpu->arch.cpuid_nent == 0)
		return;
	v->features = vcpu_features(vcpu);
	/* Pairs with smp_load_acquire() in put_vcpu(). */
	smp_store_release(&v->features_known, true);
}

struct probe_data {
	struct kvm_vcpu *vcpu;
	u64 entered_nsec;
	unsigned long maj_flt;
};

/* For the three functions whose first argument is the vCPU. 1: do not track. */
static int vcpu_entry(struct kretprobe_instance *ri, struct pt_regs *regs)
{
	struct probe_data *data = (struct probe_data *)ri->data;
	struct kvm_vcpu *vcpu = (struct kvm_vcpu *)regs_get_kernel_argument(regs, 0);
	struct apf_host_vm *vm;

	rcu_read_lock();
	vm = apf_host_vm_find(vcpu->kvm);
	if (vm)
		features_look(vm, vcpu);
	rcu_read_unlock();
	if (!vm)
		return 1;

	data->vcpu = vcpu;
	data->maj_flt = current->maj_flt;
	data->entered_nsec = ktime_get_ns();
	return 0;
}

/* bool kvm_can_do_async_pf(struct kvm_vcpu *vcpu); does not sleep. */
static int gate_return(struct kretprobe_instance *ri, struct pt_regs *regs)
{
	struct kvm_vcpu *vcpu = ((struct probe_data *)ri->data)->vcpu;
	bool allowed = (u8)regs_return_value(regs);
	struct apf_host_vcpu *v;
	struct apf_host_vm *vm;
	bool nested, paused, refuse;
	u32 state;

	rcu_read_lock();

	v = vcpu_find_vm(vcpu, &vm);
	if (!vm)
		goto out;
	state = v ? READ_ONCE(v->state) : READ_ONCE(vm->state);

	if (v)
		report_look(vm, v, vcpu);
	paused = v && READ_ONCE(v->report.paused);
	nested = READ_ONCE(nested_guard) && vcpu_in_nested_guest(vcpu);
	refuse = allowed && (nested || paused || state == APF_STATE_OFF ||
			     (state == APF_STATE_PV && !vcpu_deliverable(vcpu)));
	if (refuse)
		regs_set_return_value(regs, false);

	if (v) {
		apf_host_stats_count(&v->stats, APF_STAT_ASKED);
		if (refuse)
			apf_host_stats_count(&v->stats, APF_STAT_REFUSED);
		if (refuse && nested)
			apf_host_stats_count(&v->stats, APF_STAT_REFUSED_NESTED);
		if (refuse && paused)
			apf_host_stats_count(&v->stats, APF_STAT_REFUSED_PAUSED);
	}
out:
	rcu_read_unlock();
	return 0;
}

/*
 * int kvm_faultin_pfn(struct kvm_vcpu *vcpu, ...): finds the page behind a
 * guest fault, reading it in if it must. The thread's own count of major faults
 * goes up if, and only if, it waited for the page to be read, so no guess by
 * length is needed.
 */
static int stall_return(struct kretprobe_instance *ri, struct pt_regs *regs)
{
	struct probe_data *data = (struct probe_data *)ri->data;
	u64 now_nsec = ktime_get_ns();
	struct apf_host_vcpu *v;

	if (current->maj_flt == data->maj_flt)
		return 0;

	rcu_read_lock();
	v = vcpu_find(data->vcpu);
	if (v)
		apf_host_stats_stall(&v->stats, now_nsec - data->entered_nsec);
	rcu_read_unlock();
	return 0;
}

/* bool kvm_arch_async_page_not_present(struct kvm_vcpu *vcpu, ...): delivered? */
static int not_present_return(struct kretprobe_instance *ri, struct pt_regs *regs)
{
	struct probe_data *data = (struct probe_data *)ri->data;
	struct apf_host_vcpu *v;

	rcu_read_lock();
	v = vcpu_find(data->vcpu);
	if (v)
		apf_host_stats_classified(&v->stats, (u8)regs_return_value(regs));
	rcu_read_unlock();
	return 0;
}

/* void kvm_clear_async_pf_completion_queue(struct kvm_vcpu *vcpu) */
static int forget_pre(struct kprobe *kp, struct pt_regs *regs)
{
	struct kvm_vcpu *vcpu = (struct kvm_vcpu *)regs_get_kernel_argument(regs, 0);
	struct apf_host_vcpu *v;

	rcu_read_lock();
	v = vcpu_find(vcpu);
	if (v)
		apf_host_stats_forgotten(&v->stats);
	rcu_read_unlock();
	return 0;
}

/* void kvm_arch_destroy_vm(struct kvm *kvm) */
static void on_destroy(unsigned long ip, unsigned long parent_ip, struct ftrace_ops *ops,
		       struct ftrace_regs *fregs)
{
	struct pt_regs *regs = ftrace_get_regs(fregs);

	if (!WARN_ON_ONCE(!regs))
		apf_host_vm_dying((struct kvm *)regs_get_kernel_argument(regs, 0));
}

static void on_not_present(void *data, u64 token, u64 gva)
{
	u64 now_nsec = ktime_get_ns();
	struct apf_host_vcpu *v;

	rcu_read_lock();
	v = apf_host_probe_running();
	if (v)
		apf_host_stats_not_present(&v->stats, token, now_nsec);
	rcu_read_unlock();
}

static void on_ready(void *data, u64 token, u64 gva)
{
	struct kvm_vcpu *vcpu = kvm_get_running_vcpu();
	u64 now_nsec = ktime_get_ns();
	struct apf_host_vcpu *v;
	struct apf_host_vm *vm;

	if (!vcpu)
		return;
	rcu_read_lock();
	v = vcpu_find_vm(vcpu, &vm);
	if (v) {
		apf_host_stats_ready(&v->stats, token, now_nsec);
		report_look(vm, v, vcpu);
	}
	rcu_read_unlock();
}

static void on_repeated(void *data, u64 gva, u64 gfn)
{
	struct apf_host_vcpu *v;

	rcu_read_lock();
	v = apf_host_probe_running();
	if (v)
		apf_host_stats_count(&v->stats, APF_STAT_REPEATED);
	rcu_read_unlock();
}

#define VCPU_KRETPROBE(function, on_return, max)			\
	{								\
		.kp.symbol_name = function,				\
		.entry_handler = vcpu_entry,				\
		.handler = on_return,					\
		.data_size = sizeof(struct probe_data),			\
		.maxactive = (max),					\
	}

static struct kretprobe kretprobes[] = {
	VCPU_KRETPROBE("kvm_can_do_async_pf", gate_return, MAXACTIVE_SHORT),
	VCPU_KRETPROBE("kvm_faultin_pfn", stall_return, MAXACTIVE_SLEEPS),
	VCPU_KRETPROBE("kvm_arch_async_page_not_present", not_present_return, MAXACTIVE_SHORT),
};

/*
 * The pointers to KVM's objects are good for as long as this one works, so it
 * must not be possible to switch it off: a kprobe could be, by debugfs or by
 * the sysctl kernel.ftrace_enabled.
 */
static struct ftrace_ops destroy_ops = {
	.func = on_destroy,
	.flags = FTRACE_OPS_FL_SAVE_REGS | FTRACE_OPS_FL_PERMANENT,
};

static struct kprobe kprobes[] = {
	{ .symbol_name = "kvm_clear_async_pf_completion_queue", .pre_handler = forget_pre },
};

static struct tp {
	const char *name;
	void *probe;
	struct tracepoint *tp;
} tracepoints[] = {
	{ "kvm_async_pf_not_present", on_not_present },
	{ "kvm_async_pf_ready", on_ready },
	{ "kvm_async_pf_repeated_fault", on_repeated },
};

u64 apf_host_probe_misses(void)
{
	u64 misses = 0;
	int i;

	for (i = 0; i < ARRAY_SIZE(kretprobes); i++)
		misses += kretprobes[i].nmissed + kretprobes[i].kp.nmissed;
	for (i = 0; i < ARRAY_SIZE(kprobes); i++)
		misses += kprobes[i].nmissed;
	return misses;
}

/* Told of every loaded module at once; kvm.ko is there, for we depend on it. */
static int tp_module(struct notifier_block *nb, unsigned long action, void *arg)
{
	struct tp_module *tpm = arg;
	struct tracepoint *tp;
	int i, j;

	if (action != MODULE_STATE_COMING || strcmp(tpm->mod->name, "kvm"))
		return NOTIFY_DONE;

	for (i = 0; i < tpm->mod->num_tracepoints; i++) {
		tp = tracepoint_ptr_deref(&tpm->mod->tracepoints_ptrs[i]);
		for (j = 0; j < ARRAY_SIZE(tracepoints); j++)
			if (!strcmp(tp->name, tracepoints[j].name))
				tracepoints[j].tp = tp;
	}
	return NOTIFY_OK;
}

static struct notifier_block tp_nb = { .notifier_call = tp_module };

static void tracepoints_detach(int n)
{
	while (n-- > 0)
		tracepoint_probe_unregister(tracepoints[n].tp, tracepoints[n].probe, NULL);
	tracepoint_synchronize_unregister();
}

static int tracepoints_attach(void)
{
	int i, ret;

	ret = register_tracepoint_module_notifier(&tp_nb);
	if (ret)
		return ret;
	unregister_tracepoint_module_notifier(&tp_nb);

	for (i = 0; i < ARRAY_SIZE(tracepoints); i++) {
		ret = -ENOENT;
		if (tracepoints[i].tp)
			ret = tracepoint_probe_register(tracepoints[i].tp,
							tracepoints[i].probe, NULL);
		if (ret) {
			pr_err("tracepoint %s of kvm: %pe\n", tracepoints[i].name, ERR_PTR(ret));
			tracepoints_detach(i);
			return ret;
		}
	}
	return 0;
}

static int kretprobes_attach(void)
{
	int i, ret;

	for (i = 0; i < ARRAY_SIZE(kretprobes); i++) {
		ret = register_kretprobe(&kretprobes[i]);
		if (ret) {
			pr_err("probe on %s: %pe\n", kretprobes[i].kp.symbol_name, ERR_PTR(ret));
			while (i-- > 0)
				unregister_kretprobe(&kretprobes[i]);
			return ret;
		}
	}
	return 0;
}

static int kprobes_attach(void)
{
	int i, ret;

	for (i = 0; i < ARRAY_SIZE(kprobes); i++) {
		ret = register_kprobe(&kprobes[i]);
		if (ret) {
			pr_err("probe on %s: %pe\n", kprobes[i].symbol_name, ERR_PTR(ret));
			while (i-- > 0)
				unregister_kprobe(&kprobes[i]);
			return ret;
		}
	}
	return 0;
}

static void kretprobes_detach(void)
{
	int i;

	for (i = ARRAY_SIZE(kretprobes) - 1; i >= 0; i--)
		unregister_kretprobe(&kretprobes[i]);
}

static void kprobes_detach(void)
{
	int i;

	for (i = ARRAY_SIZE(kprobes) - 1; i >= 0; i--)
		unregister_kprobe(&kprobes[i]);
}

static int destroy_attach(void)
{
	static char name[] = "kvm_arch_destroy_vm";
	int ret;

	ret = ftrace_set_filter(&destroy_ops, name, strlen(name), true);
	if (!ret)
		ret = register_ftrace_function(&destroy_ops);
	if (ret == -EBUSY)
		pr_err("ftrace is switched off (sysctl kernel.ftrace_enabled)\n");
	else if (ret)
		pr_err("hook on %s: %pe\n", name, ERR_PTR(ret));
	if (ret)
		ftrace_free_filter(&destroy_ops);
	return ret;
}

static void destroy_detach(void)
{
	unregister_ftrace_function(&destroy_ops);
	ftrace_free_filter(&destroy_ops);
}

int apf_host_probe_init(void)
{
	int ret;

	ret = destroy_attach();
	if (ret)
		return ret;
	ret = kprobes_attach();
	if (ret)
		goto err_kprobes;
	ret = tracepoints_attach();
	if (ret)
		goto err_tracepoints;
	ret = kretprobes_attach();
	if (ret)
		goto err_kretprobes;
	return 0;

err_kretprobes:
	tracepoints_detach(ARRAY_SIZE(tracepoints));
err_tracepoints:
	kprobes_detach();
err_kprobes:
	destroy_detach();
	return ret;
}

void apf_host_probe_uninit(void)
{
	kretprobes_detach();
	tracepoints_detach(ARRAY_SIZE(tracepoints));
	kprobes_detach();
	destroy_detach();
}
