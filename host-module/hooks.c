// SPDX-License-Identifier: GPL-2.0
/*
 * All hooks in KVM: a table, a loop that attaches them, and a loop that detaches them.
 *
 * Hooks are attached when the first VM is watched and detached after the last VM, so
 * that the module costs nothing without VMs. When the module is loaded, the hooks are
 * attached once for a moment, to find out which hooks this kernel allows. enum apf_hook
 * describes the effect of each missing hook.
 *
 * Context: kvm_arch_destroy_vm() runs in the process that drops the last reference,
 * when no vCPU can run any more. kvm_clear_async_pf_completion_queue() runs in the
 * vCPU's thread; also in the thread that creates a vCPU, before our handlers can find
 * the vCPU; and finally inside kvm_arch_destroy_vm(), when they cannot find the VM any
 * more. kvm_arch_async_page_present_queued() runs in a worker of KVM, or in the vCPU's
 * thread. All others run in the vCPU's thread, inside KVM_RUN, with the vCPU loaded, its
 * mutex held and kvm->srcu read-locked.
 *
 * ftrace and tracepoint handlers may be preempted (since 2026 SRCU protects
 * tracepoints); stats.c disables preemption where necessary. No handler sleeps.
 *
 * Locks: handlers take rcu_read_lock() to find the VM, a report's lock and, for
 * a dying VM, gone_lock (vm.c). None of the hooked functions is called with a
 * lock held that the handlers take.
 *
 * Lifetime: a struct kvm_vcpu and a struct kvm_async_pf stay valid while a thread is in a
 * hooked function that has them as arguments. Detaching waits for running
 * handlers: unregister_ftrace_function() waits for every task that was preempted in a
 * handler (RCU tasks), and therefore also for tasks in gate_no().
 *
 * The hooks for the gate and for the end of a VM are not only for figures: no call may be
 * missed. Therefore hooks at the entry of a function are ftrace hooks, which nobody can
 * switch off (FTRACE_OPS_FL_PERMANENT: kernel.ftrace_enabled cannot be cleared) and
 * which need no pool of instances. All except the gate share one struct ftrace_ops,
 * because each struct ftrace_ops costs a walk over all functions of the kernel, and a
 * wait for RCU tasks at the end. The gate also redirects the function
 * (FTRACE_OPS_FL_IPMODIFY). A function can have only one such user: the kernel refuses
 * the second one, for example a live patch of kvm_can_do_async_pf(), or this module.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/ftrace.h>
#include <linux/kprobes.h>
#include <linux/ktime.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/sched.h>
#include <linux/tracepoint.h>

#include "clock.h"
#include "gate.h"
#include "hooks.h"
#include "nowait.h"
#include "stall.h"
#include "symbol.h"
#include "vm.h"

/*
 * The number of threads that can be inside the function of the stall hook at once; each
 * may sleep there. KVM limits the vCPUs of a VM, but not those of all VMs together. A call
 * that finds no free instance is counted as a miss.
 */
#define STALL_INSTANCES	2048

static void *argument(struct pt_regs *regs, unsigned int n)
{
	return (void *)regs_get_kernel_argument(regs, n);
}

/* Runs instead of kvm_can_do_async_pf() if the gate refuses. */
static notrace noinline bool gate_no(struct kvm_vcpu *vcpu)
{
	return false;
}

/* bool kvm_can_do_async_pf(struct kvm_vcpu *vcpu) */
static void on_gate(struct pt_regs *regs)
{
	if (apf_host_gate_refuses(argument(regs, 0)))
		regs->ip = (unsigned long)gate_no;
}

/* void kvm_arch_destroy_vm(struct kvm *kvm) */
static void on_vm_end(struct pt_regs *regs)
{
	apf_host_vm_dying(argument(regs, 0));
}

/* bool kvm_arch_async_page_not_present(struct kvm_vcpu *vcpu, struct kvm_async_pf *work) */
static void on_not_present(struct pt_regs *regs)
{
	const u32 result_hooks = BIT(APF_HOOK_READY) | BIT(APF_HOOK_FORGET);
	struct kvm_async_pf *work = argument(regs, 1);
	struct kvm_vcpu *vcpu = argument(regs, 0);
	struct apf_host_clock clock;
	struct apf_host_vcpu *v;
	struct apf_host_vm *vm;

	apf_host_clock_read(&clock, vcpu);
	rcu_read_lock();
	v = apf_host_vm_find_vcpu(vcpu, &vm);
	/*
	 * When the function has returned, KVM stores in @work whether it notified
	 * the guest. KVM frees @work in this thread, after "ready" or "forget":
	 * with both hooks in place, stats.c reads the result before that.
	 */
	if (v)
		apf_host_stats_not_present(&v->stats, work->arch.token, &clock,
					   !(result_hooks & ~apf_host_hooks_placed()) ?
					   &work->notpresent_injected : NULL);
	rcu_read_unlock();
}

/*
 * void kvm_arch_async_page_present_queued(struct kvm_vcpu *vcpu)
 *
 * KVM calls it for the first page in the queue of pages to be delivered. The vCPU's thread
 * may already have delivered this page.
 */
static void on_queued(struct pt_regs *regs)
{
	struct kvm_vcpu *vcpu = argument(regs, 0);
	u64 now_nsec = ktime_get_ns();
	struct apf_host_vcpu *v;
	struct apf_host_vm *vm;

	rcu_read_lock();
	v = apf_host_vm_find_vcpu(vcpu, &vm);
	if (v) {
		apf_host_stats_queued(&v->stats, now_nsec);
		if (list_empty_careful(&vcpu->async_pf.done))
			apf_host_stats_unqueued(&v->stats, now_nsec);
	}
	rcu_read_unlock();
}

/* void kvm_arch_async_page_present(struct kvm_vcpu *vcpu, struct kvm_async_pf *work) */
static void on_ready(struct pt_regs *regs)
{
	struct kvm_vcpu *vcpu = argument(regs, 0);
	struct kvm_async_pf *work = argument(regs, 1);
	struct apf_host_clock clock;
	struct apf_host_vcpu *v;
	struct apf_host_vm *vm;

	apf_host_clock_read(&clock, vcpu);
	rcu_read_lock();
	v = apf_host_vm_find_vcpu(vcpu, &vm);
	if (v) {
		apf_host_stats_ready(&v->stats,
				     work->wakeup_all ? APF_HOST_TOKEN_ALL : work->arch.token,
				     &clock);
		if (!list_empty_careful(&vcpu->async_pf.done))
			apf_host_stats_queued(&v->stats, clock.now_nsec);
		apf_host_vm_scan_report(vm, v, vcpu);
	}
	rcu_read_unlock();
}

/* void kvm_clear_async_pf_completion_queue(struct kvm_vcpu *vcpu) */
static void on_forget(struct pt_regs *regs)
{
	struct kvm_vcpu *vcpu = argument(regs, 0);
	struct apf_host_clock clock;
	struct apf_host_vcpu *v;
	struct apf_host_vm *vm;

	apf_host_clock_read(&clock, vcpu);
	rcu_read_lock();
	v = apf_host_vm_find_vcpu(vcpu, &vm);
	if (v)
		apf_host_stats_forgotten(&v->stats, &clock);
	rcu_read_unlock();
}

/* The tracepoint does not pass the vCPU. */
static void on_repeated(void *data, u64 gva, u64 gfn)
{
	struct kvm_vcpu *vcpu = apf_host_running_vcpu();
	struct apf_host_vcpu *v;
	struct apf_host_vm *vm;

	if (!vcpu)
		return;
	rcu_read_lock();
	v = apf_host_vm_find_vcpu(vcpu, &vm);
	if (v)
		apf_host_stats_count(&v->stats, APF_STAT_REPEATED);
	rcu_read_unlock();
}

enum hook_kind { HOOK_ENTRY, HOOK_GATE, HOOK_KRETPROBE, HOOK_TRACEPOINT, HOOK_CALL };

/**
 * struct hook - one hook in KVM
 * @kind: HOOK_ENTRY and HOOK_GATE use ftrace at the entry of a function; HOOK_CALL is
 *	not a hook but a function that the module calls
 * @names: possible functions, in the order in which they are tried
 * @entry: handler of HOOK_ENTRY and HOOK_GATE
 * @handler: handler of HOOK_TRACEPOINT; HOOK_KRETPROBE uses the handlers in stall.c
 * @required: no VM can be watched without this hook
 * @placed: index in @names of the function that is hooked, or was hooked last
 * @error: error of the last attempt to place the hook
 * @address: for HOOK_ENTRY: address of the function; 0 if it is not hooked
 * @tp: for HOOK_TRACEPOINT
 */
struct hook {
	enum hook_kind kind;
	const char *names[3];
	void (*entry)(struct pt_regs *regs);
	void *handler;
	bool required;
	int placed;
	int error;
	unsigned long address;
	struct tracepoint *tp;
};

static struct hook hooks[__APF_HOOK_MAX] = {
	[APF_HOOK_VM_END] = {
		.kind = HOOK_ENTRY, .names = { "kvm_arch_destroy_vm" }, .entry = on_vm_end,
		.required = true,
	},
	[APF_HOOK_NOT_PRESENT] = {
		.kind = HOOK_ENTRY, .names = { "kvm_arch_async_page_not_present" },
		.entry = on_not_present,
	},
	[APF_HOOK_READY] = {
		.kind = HOOK_ENTRY, .names = { "kvm_arch_async_page_present" }, .entry = on_ready,
	},
	[APF_HOOK_FORGET] = {
		.kind = HOOK_ENTRY, .names = { "kvm_clear_async_pf_completion_queue" },
		.entry = on_forget,
	},
	[APF_HOOK_GATE] = {
		.kind = HOOK_GATE, .names = { "kvm_can_do_async_pf" }, .entry = on_gate,
		.required = true,
	},
	[APF_HOOK_STALL] = {
		.kind = HOOK_KRETPROBE, .names = { "kvm_mmu_faultin_pfn", "kvm_faultin_pfn" },
	},
	[APF_HOOK_REPEATED] = {
		.kind = HOOK_TRACEPOINT, .names = { "kvm_async_pf_repeated_fault" },
		.handler = on_repeated,
	},
	[APF_HOOK_USER_MODE] = {
		.kind = HOOK_CALL, .names = { "kvm_get_linear_rip" },
	},
	[APF_HOOK_QUEUED] = {
		.kind = HOOK_ENTRY, .names = { "kvm_arch_async_page_present_queued" },
		.entry = on_queued,
	},
};

/*
 * The order of attaching; detaching is the reverse. The end of a VM is first, because
 * without this hook no handler may use a pointer to a VM. The five hooks of kind
 * HOOK_ENTRY start and stop to work together.
 */
static const u8 order[] = {
	APF_HOOK_VM_END, APF_HOOK_FORGET, APF_HOOK_READY, APF_HOOK_QUEUED, APF_HOOK_NOT_PRESENT,
	APF_HOOK_STALL, APF_HOOK_REPEATED, APF_HOOK_USER_MODE, APF_HOOK_GATE,
};
static_assert(ARRAY_SIZE(order) == __APF_HOOK_MAX);
#define LAST_ENTRY	APF_HOOK_NOT_PRESENT

/* Guards @hooks, the variables below except @placed_mask, and the attaching itself. */
static DEFINE_MUTEX(hooks_lock);
static unsigned int users;
static u32 placed_mask;
static struct ftrace_ops entry_ops, gate_ops;
static bool unregister_failed;
static struct kretprobe stall_probe;
static u64 old_misses;

/* With FTRACE_OPS_FL_SAVE_REGS, ftrace_get_regs() always returns all registers. */
static void notrace entry_func(unsigned long ip, unsigned long parent_ip, struct ftrace_ops *ops,
			       struct ftrace_regs *fregs)
{
	int i;

	/* The hook may be behind an ENDBR instruction. */
	for (i = 0; i < ARRAY_SIZE(hooks); i++)
		if (hooks[i].address && ip - hooks[i].address < 16) {
			hooks[i].entry(ftrace_get_regs(fregs));
			return;
		}
}

static void notrace gate_func(unsigned long ip, unsigned long parent_ip, struct ftrace_ops *ops,
			      struct ftrace_regs *fregs)
{
	on_gate(ftrace_get_regs(fregs));
}

/* Initialize all fields: ftrace_free_filter() leaves pointers to freed memory. */
static void ops_init(struct ftrace_ops *ops, ftrace_func_t func, unsigned long flags)
{
	*ops = (struct ftrace_ops) {
		.func = func,
		.flags = FTRACE_OPS_FL_SAVE_REGS | FTRACE_OPS_FL_PERMANENT | flags,
	};
}

/* Adds a function to the filter of entry_ops, which is registered later. */
static int entry_place(struct hook *h, const char *name)
{
	void *address = apf_host_symbol_find(name);
	int ret;

	if (IS_ERR(address))
		return PTR_ERR(address);
	ret = ftrace_set_filter_ip(&entry_ops, (unsigned long)address, 0, 0);
	if (!ret)
		h->address = (unsigned long)address;
	return ret;
}

static int gate_place(const char *name)
{
	void *address = apf_host_symbol_find(name);
	int ret;

	if (IS_ERR(address))
		return PTR_ERR(address);
	ops_init(&gate_ops, gate_func, FTRACE_OPS_FL_IPMODIFY);
	ret = ftrace_set_filter_ip(&gate_ops, (unsigned long)address, 0, 1);
	if (!ret)
		ret = register_ftrace_function(&gate_ops);
	if (ret)
		ftrace_free_filter(&gate_ops);
	return ret;
}

static int stall_place(const char *name)
{
	/* Initialize it each time: an earlier registration has changed fields. */
	stall_probe = (struct kretprobe) {
		.kp.symbol_name = name,
		.entry_handler = apf_host_stall_entry,
		.handler = apf_host_stall_return,
		.data_size = sizeof(struct apf_host_stall),
		.maxactive = STALL_INSTANCES,
	};
	return register_kretprobe(&stall_probe);
}

static void tracepoint_match(struct tracepoint *tp, void *priv)
{
	struct hook *h = priv;

	if (!strcmp(tp->name, h->names[0]))
		h->tp = tp;
}

/* Registering the notifier calls this for every loaded module. */
static int tracepoint_module(struct notifier_block *nb, unsigned long action, void *arg)
{
	struct tp_module *tpm = arg;
	struct tracepoint *tp;
	int i, k;

	if (action != MODULE_STATE_COMING)
		return NOTIFY_DONE;
	for (i = 0; i < tpm->mod->num_tracepoints; i++) {
		tp = tracepoint_ptr_deref(&tpm->mod->tracepoints_ptrs[i]);
		for (k = 0; k < ARRAY_SIZE(hooks); k++)
			if (hooks[k].kind == HOOK_TRACEPOINT)
				tracepoint_match(tp, &hooks[k]);
	}
	return NOTIFY_OK;
}

static int tracepoint_place(struct hook *h)
{
	static struct notifier_block nb = { .notifier_call = tracepoint_module };
	int ret;

	h->tp = NULL;
	/* KVM may be built in. */
	for_each_kernel_tracepoint(tracepoint_match, h);
	if (!h->tp) {
		ret = register_tracepoint_module_notifier(&nb);
		if (ret)
			return ret;
		unregister_tracepoint_module_notifier(&nb);
	}
	return h->tp ? tracepoint_probe_register(h->tp, h->handler, NULL) : -ENOENT;
}

static int hook_place(u32 id, const char *name)
{
	struct hook *h = &hooks[id];

	switch (h->kind) {
	case HOOK_ENTRY:
		return entry_place(h, name);
	case HOOK_GATE:
		return gate_place(name);
	case HOOK_KRETPROBE:
		return stall_place(name);
	case HOOK_TRACEPOINT:
		return apf_host_running_vcpu_known() ? tracepoint_place(h) : -ENOENT;
	case HOOK_CALL:
		return apf_host_rip_known() ? 0 : -ENOENT;
	}
	return -EINVAL;
}

#ifdef APF_HOST_DEBUG
static uint lost_hooks;
module_param(lost_hooks, uint, 0444);
MODULE_PARM_DESC(lost_hooks, "Pretend that these hooks cannot be placed: BIT() of each enum apf_hook");
#else
static const uint lost_hooks;
#endif

static void hook_attach(u32 id)
{
	struct hook *h = &hooks[id];
	int i, error = -ENOENT;

	for (i = 0; i < ARRAY_SIZE(h->names) && h->names[i]; i++) {
		if (lost_hooks & BIT(id))
			break;
		error = hook_place(id, h->names[i]);
		if (!error) {
			WRITE_ONCE(h->placed, i);
			break;
		}
	}
	WRITE_ONCE(h->error, error);
}

/* If this fails, the handler of @ops may still be called: see apf_host_hooks_uninit(). */
static void ops_remove(struct ftrace_ops *ops)
{
	int ret = unregister_ftrace_function(ops);

	if (ret) {
		pr_err("ftrace does not take a hook away: %pe\n", ERR_PTR(ret));
		unregister_failed = true;
		return;
	}
	ftrace_free_filter(ops);
}

static void entries_clear(int error)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(hooks); i++)
		if (hooks[i].kind == HOOK_ENTRY) {
			hooks[i].address = 0;
			if (error && !hooks[i].error)
				hooks[i].error = error;
		}
}

static void hook_detach(u32 id)
{
	struct hook *h = &hooks[id];

	if (h->error)
		return;
	switch (h->kind) {
	case HOOK_ENTRY:
		/* Detach all of this kind together, with the one that was attached first. */
		if (id != order[0])
			break;
		ops_remove(&entry_ops);
		entries_clear(0);
		break;
	case HOOK_GATE:
		ops_remove(&gate_ops);
		break;
	case HOOK_KRETPROBE:
		unregister_kretprobe(&stall_probe);
		old_misses += stall_probe.nmissed + stall_probe.kp.nmissed;
		stall_probe.nmissed = 0;
		stall_probe.kp.nmissed = 0;
		break;
	case HOOK_TRACEPOINT:
		tracepoint_probe_unregister(h->tp, h->handler, NULL);
		tracepoint_synchronize_unregister();
		break;
	case HOOK_CALL:
		break;
	}
}

static void hooks_detach(void)
{
	int i;

	apf_host_nowait_stop();
	for (i = ARRAY_SIZE(order) - 1; i >= 0; i--)
		hook_detach(order[i]);
}

static u32 mask_of_placed(void)
{
	u32 mask = 0;
	int i;

	for (i = 0; i < ARRAY_SIZE(hooks); i++)
		if (!hooks[i].error)
			mask |= BIT(i);
	return mask;
}

/* Registers entry_ops, so that all hooks of kind HOOK_ENTRY work, or none if this fails. */
static void entries_register(void)
{
	int ret = hooks[APF_HOOK_VM_END].error;

	/* on_not_present() checks which other hooks are placed. */
	WRITE_ONCE(placed_mask, mask_of_placed());
	if (!ret)
		ret = register_ftrace_function(&entry_ops);
	if (ret) {
		entries_clear(ret);
		ftrace_free_filter(&entry_ops);
	}
}

/* Attaches all possible hooks. Sets *ret_failed to a required function that cannot be hooked. */
static int hooks_attach(const char **ret_failed)
{
	int i, ret = 0;

	*ret_failed = hooks[APF_HOOK_GATE].names[0];
	if (unregister_failed)
		return -EBUSY;
	ops_init(&entry_ops, entry_func, 0);
	for (i = 0; i < ARRAY_SIZE(order); i++) {
		hook_attach(order[i]);
		if (order[i] == LAST_ENTRY)
			entries_register();
	}
	WRITE_ONCE(placed_mask, mask_of_placed());

	for (i = 0; i < ARRAY_SIZE(hooks) && !ret; i++)
		if (hooks[i].required && hooks[i].error) {
			ret = hooks[i].error;
			*ret_failed = hooks[i].names[0];
		}
	if (ret) {
		hooks_detach();
		return ret;
	}
	apf_host_nowait_start();
	return 0;
}

/**
 * apf_host_hooks_get() - attach the hooks for the first user
 * @ret_failed: set on failure: the function that cannot be hooked
 *
 * Context: process; may sleep while hooks are being attached or detached.
 * Return: 0, then the caller must call apf_host_hooks_put() later; or the error of a
 * required hook: -EBUSY if somebody else redirects the function, or if ftrace is
 * switched off.
 */
int apf_host_hooks_get(const char **ret_failed)
{
	int ret = 0;

	mutex_lock(&hooks_lock);
	if (!users)
		ret = hooks_attach(ret_failed);
	if (!ret)
		users++;
	mutex_unlock(&hooks_lock);
	return ret;
}

/* Balances apf_host_hooks_get(); the last call detaches the hooks. */
void apf_host_hooks_put(void)
{
	mutex_lock(&hooks_lock);
	if (!--users)
		hooks_detach();
	mutex_unlock(&hooks_lock);
}

/* BIT() of each &enum apf_hook that is placed, or was placed when a VM was last watched. */
u32 apf_host_hooks_placed(void)
{
	return READ_ONCE(placed_mask);
}

/**
 * apf_host_hooks_describe() - the function of a hook, or why it cannot be placed
 * @id: &enum apf_hook
 * @name: set to the name of the function, or to all names that were tried
 * @size: size of @name
 * @ret_error: set to 0 or the error of the last attempt
 *
 * Context: any; does not wait while hooks are being attached.
 */
void apf_host_hooks_describe(u32 id, char *name, size_t size, int *ret_error)
{
	const struct hook *h = &hooks[id];
	int i, error = READ_ONCE(h->error);
	size_t used = 0;

	*ret_error = error;
	if (!error) {
		strscpy(name, h->names[READ_ONCE(h->placed)], size);
		return;
	}
	for (i = 0; i < ARRAY_SIZE(h->names) && h->names[i]; i++)
		used += scnprintf(name + used, size - used, "%s%s", i ? "," : "", h->names[i]);
}

/* Calls since the load that were not measured. Context as for apf_host_hooks_describe(). */
u64 apf_host_hooks_misses(void)
{
	return old_misses + stall_probe.nmissed + stall_probe.kp.nmissed;
}

/**
 * apf_host_hooks_init() - find out which hooks this kernel allows
 *
 * Return: 0, or the error of a required hook.
 */
int apf_host_hooks_init(void)
{
	const char *failed;
	struct hook *h;
	int i, ret;

	ret = apf_host_hooks_get(&failed);
	for (i = 0; i < ARRAY_SIZE(hooks); i++) {
		h = &hooks[i];
		if (!h->error)
			continue;
		if (h->error == -EBUSY && h->entry)
			pr_warn("hook on %s: somebody else redirects it, or ftrace is switched off (sysctl kernel.ftrace_enabled)\n",
				h->names[0]);
		else
			pr_warn("hook on %s: %pe\n", h->names[0], ERR_PTR(h->error));
	}
	if (ret) {
		pr_err("%s cannot be hooked: %pe\n", failed, ERR_PTR(ret));
		return ret;
	}
	apf_host_hooks_put();
	return 0;
}

/**
 * apf_host_hooks_uninit() - call it before the module is unloaded
 *
 * ftrace may refuse to remove a hook, because it disables itself after an internal
 * error. KVM would then call freed memory. So the module's code must stay, and rmmod
 * does not return.
 */
void apf_host_hooks_uninit(void)
{
	WARN_ON(users);
	while (unregister_failed) {
		set_current_state(TASK_IDLE);
		schedule();
	}
}
