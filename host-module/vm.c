// SPDX-License-Identifier: GPL-2.0
/*
 * The watched VMs and their vCPUs.
 *
 * Locks, outermost first:
 *   apf_host_lock  mutex; the id table, gates, lifetime
 *   gone_lock      raw spinlock; the hash, and apf_host_vm.kvm for use outside
 *                  of vCPU threads. A handler takes it with interrupts on or off,
 *                  therefore it is raw and irqsave.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/hashtable.h>
#include <linux/ktime.h>
#include <linux/mm.h>
#include <linux/pid.h>
#include <linux/pid_namespace.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/xarray.h>

#include "guest.h"
#include "vm.h"

DEFINE_MUTEX(apf_host_lock);

static DEFINE_RAW_SPINLOCK(gone_lock);
static DEFINE_HASHTABLE(vm_hash, 8);
static DEFINE_XARRAY_ALLOC1(vm_ids);
static u32 vm_next_id;
static u32 vm_count;
static struct workqueue_struct *vm_wq;
static const struct apf_host_vm_calls *owner;
static u64 leases_renewed_nsec; /* under apf_host_lock */

static void vm_free(struct apf_host_vm *vm)
{
	u32 i;

	for (i = 0; i < vm->vcpus_max; i++)
		kfree(vm->vcpus[i]);
	kvfree(vm);
}

/*
 * Removes a VM from the hash, so that handlers do not find it any more. Returns true if this call
 * removed it; then the caller must queue gone_work.
 */
static bool vm_unhash(struct apf_host_vm *vm)
{
	unsigned long flags;
	bool mine;

	raw_spin_lock_irqsave(&gone_lock, flags);
	mine = vm->kvm;
	if (mine) {
		hash_del_rcu(&vm->node);
		WRITE_ONCE(vm->kvm, NULL);
	}
	raw_spin_unlock_irqrestore(&gone_lock, flags);

	return mine;
}

static void vm_gone_work(struct work_struct *work)
{
	struct apf_host_vm *vm = container_of(work, struct apf_host_vm, gone_work);

	mutex_lock(&apf_host_lock);
	xa_erase(&vm_ids, vm->id);
	vm_count--;
	mutex_unlock(&apf_host_lock);

	/*
	 * Handlers may still use the entry and queue the other work items. Cancel
	 * scan_work before notify_work, because scan_work queues notify_work.
	 */
	synchronize_rcu();
	cancel_work_sync(&vm->grow_work);
	cancel_work_sync(&vm->scan_work);
	cancel_delayed_work_sync(&vm->notify_work);

	/* The last event of this VM. */
	if (!vm->deleted)
		owner->gone(vm);
	vm_free(vm);
	owner->released();
}

static void vm_grow_work(struct work_struct *work)
{
	struct apf_host_vm *vm = container_of(work, struct apf_host_vm, grow_work);
	u32 vcpus;

	mutex_lock(&apf_host_lock);
	apf_host_vm_refresh(vm, &vcpus);
	mutex_unlock(&apf_host_lock);
}

/* Events in one run of notify_work; together with its rate, limits the events of a guest. */
#define EVENTS_PER_RUN 16

/* The delay limits the rate of events that a guest can cause. Context: any but NMI. */
static void vm_notify(struct apf_host_vm *vm)
{
	queue_delayed_work(vm_wq, &vm->notify_work, HZ / 10);
}

/*
 * Sends new events about a VM's reports. If there are too many for one run, the next run
 * continues with the next vCPU.
 */
static void vm_notify_work(struct work_struct *work)
{
	struct apf_host_vm *vm = container_of(work, struct apf_host_vm, notify_work.work);
	u32 events[APF_HOST_REPORT_EVENTS], value[__APF_GUEST_A_MAX], visited, i;
	struct apf_host_vcpu *v;
	int n, k, sent = 0;

	for (visited = 0; visited < vm->vcpus_max; visited++) {
		if (sent >= EVENTS_PER_RUN) {
			vm_notify(vm);
			return;
		}
		i = vm->notify_next < vm->vcpus_max ? vm->notify_next : 0;
		vm->notify_next = i + 1;
		v = smp_load_acquire(&vm->vcpus[i]);
		if (!v)
			continue;
		n = apf_host_report_events(&v->report, events, value);
		for (k = 0; k < n; k++)
			owner->report(vm, i, events[k], value);
		sent += n;
	}
}

/* Minimum time between two scans of a report, except while the vCPU is paused. */
#define SCAN_NSEC	(20 * NSEC_PER_MSEC)

/**
 * apf_host_vm_scan_report() - read the guest's report from the vCPU's own thread
 * @vm: the VM
 * @v: the vCPU
 * @vcpu: KVM's vCPU
 *
 * The guest does not run on this vCPU now, so a single copy is consistent.
 *
 * Context: a handler in the vCPU's thread, under rcu_read_lock().
 */
void apf_host_vm_scan_report(struct apf_host_vm *vm, struct apf_host_vcpu *v,
			     struct kvm_vcpu *vcpu)
{
	struct apf_host_report *r = &v->report;
	struct apf_guest_report raw;
	u64 now_nsec = ktime_get_ns();
	bool has_events = false;

	if (!READ_ONCE(r->paused) && now_nsec - READ_ONCE(r->scanned_nsec) < SCAN_NSEC)
		return;
	WRITE_ONCE(r->scanned_nsec, now_nsec);

	switch (apf_host_guest_read_report(vcpu, &raw)) {
	case 0:
		has_events = apf_host_report_found(r, &raw, now_nsec);
		break;
	case -ENOENT:
		has_events = apf_host_report_none(r, now_nsec);
		break;
	}
	if (has_events)
		vm_notify(vm);
}

/* A request does not cause a new scan if the last scan is younger than this. */
#define SCAN_IDLE_NSEC	(400 * NSEC_PER_MSEC)

/*
 * Scans the report from outside of the vCPU's thread.
 *
 * Context: process, on the VM's mm, in a read section of kvm->srcu.
 */
static void vcpu_scan_idle(struct apf_host_vm *vm, struct apf_host_vcpu *v, struct kvm_vcpu *vcpu)
{
	struct apf_guest_report raw;
	u64 now_nsec = ktime_get_ns();
	bool has_events = false;

	WRITE_ONCE(v->report.scanned_nsec, now_nsec);
	switch (apf_host_guest_read_report_running(vcpu, &raw)) {
	case 0:
		has_events = apf_host_report_found(&v->report, &raw, now_nsec);
		break;
	case -ENOENT:
		has_events = apf_host_report_none(&v->report, now_nsec);
		break;
	}
	if (has_events)
		vm_notify(vm);
}

/*
 * Reads the reports of vCPUs that have not faulted for a while, from outside of their
 * threads. Takes references to the VM and to its memory meanwhile. These references may
 * become the last ones. Then the kernel's own work queue frees the memory (mmput_async()),
 * because this takes long; the VM is destroyed here, which any thread may do: no lock is
 * held, kvm.ko cannot be unloaded, and gone_work, which the end of the VM queues, waits for
 * this work item before it frees the entry.
 */
static void vm_scan_work(struct work_struct *work)
{
	struct apf_host_vm *vm = container_of(work, struct apf_host_vm, scan_work);
	u64 now_nsec = ktime_get_ns();
	struct apf_host_vcpu *v;
	struct kvm_vcpu *vcpu;
	unsigned long flags;
	struct kvm *kvm;
	int srcu;
	u32 i;

	raw_spin_lock_irqsave(&gone_lock, flags);
	kvm = vm->kvm;
	if (kvm && !kvm_get_kvm_safe(kvm))
		kvm = NULL;
	raw_spin_unlock_irqrestore(&gone_lock, flags);
	if (!kvm)
		return;

	if (mmget_not_zero(kvm->mm)) {
		kthread_use_mm(kvm->mm);
		srcu = srcu_read_lock(&kvm->srcu);
		for (i = 0; i < vm->vcpus_max; i++) {
			v = smp_load_acquire(&vm->vcpus[i]);
			if (!v || now_nsec - READ_ONCE(v->report.scanned_nsec) <= SCAN_IDLE_NSEC)
				continue;
			vcpu = kvm_get_vcpu(kvm, i);
			if (vcpu)
				vcpu_scan_idle(vm, v, vcpu);
		}
		srcu_read_unlock(&kvm->srcu, srcu);
		kthread_unuse_mm(kvm->mm);
		mmput_async(kvm->mm);
	}
	kvm_put_kvm(kvm);
}

/**
 * apf_host_vm_scan_idle() - start a scan of the reports of idle vCPUs
 * @vm: the VM
 *
 * The result is available a moment later. Limits the rate of scans, because any request
 * may call this.
 *
 * Context: process, under apf_host_lock.
 */
void apf_host_vm_scan_idle(struct apf_host_vm *vm)
{
	u64 now_nsec = ktime_get_ns();

	lockdep_assert_held(&apf_host_lock);

	if (now_nsec - vm->scanned_nsec < SCAN_IDLE_NSEC)
		return;
	vm->scanned_nsec = now_nsec;
	queue_work(vm_wq, &vm->scan_work);
}

static struct apf_host_vm *vm_find(struct kvm *kvm)
{
	struct apf_host_vm *vm;

	hash_for_each_possible_rcu(vm_hash, vm, node, (unsigned long)kvm)
		if (READ_ONCE(vm->kvm) == kvm)
			return vm;
	return NULL;
}

/**
 * apf_host_vm_dying() - KVM is about to destroy a VM
 * @kvm: the VM, watched or not
 *
 * Context: a handler; may not sleep, so a work item does the rest. After the return,
 * the module does not use @kvm any more.
 */
void apf_host_vm_dying(struct kvm *kvm)
{
	struct apf_host_vm *vm;

	rcu_read_lock();
	vm = vm_find(kvm);
	if (vm && vm_unhash(vm))
		queue_work(vm_wq, &vm->gone_work);
	rcu_read_unlock();
}

/**
 * apf_host_vm_find_vcpu() - find the entry of a vCPU
 * @vcpu: KVM's vCPU
 * @ret_vm: set to its VM, or NULL if the VM is not watched
 *
 * While a vCPU is being created, hooked functions run in the thread of the ioctl, with
 * the vCPU's index still 0. It must not be mistaken for vCPU 0, whose figures only the
 * thread of vCPU 0 may change. Therefore check that KVM has @vcpu at this index.
 *
 * Context: a handler, under rcu_read_lock().
 * Return: the vCPU, or NULL. NULL with *@ret_vm set: the vCPU is not in the table yet;
 * this is counted as unseen, and grow_work will add the vCPU. Until then use the gate
 * of the VM.
 */
struct apf_host_vcpu *apf_host_vm_find_vcpu(struct kvm_vcpu *vcpu, struct apf_host_vm **ret_vm)
{
	struct apf_host_vm *vm = vm_find(vcpu->kvm);
	unsigned int index = vcpu->vcpu_idx;
	struct apf_host_vcpu *v = NULL;

	*ret_vm = vm;
	if (!vm || kvm_get_vcpu(vcpu->kvm, index) != vcpu)
		return NULL;
	/* Pairs with smp_store_release() in apf_host_vm_refresh(). */
	if (index < vm->vcpus_max)
		v = smp_load_acquire(&vm->vcpus[index]);
	if (!v) {
		atomic64_inc(&vm->unseen);
		queue_work(vm_wq, &vm->grow_work);
	}
	return v;
}

/**
 * apf_host_vm_learn_features() - store, once, the KVM features of a vCPU's CPUID
 * @v: the vCPU
 * @vcpu: KVM's vCPU
 *
 * Context: a handler in the vCPU's thread, with the vCPU's mutex held, so that CPUID
 * does not change.
 */
void apf_host_vm_learn_features(struct apf_host_vcpu *v, struct kvm_vcpu *vcpu)
{
	if (v->features_known || !vcpu->arch.cpuid_nent)
		return;
	v->features = apf_host_guest_features(vcpu);
	/* Pairs with smp_load_acquire() in put_vcpu(). */
	smp_store_release(&v->features_known, true);
}

/**
 * apf_host_vm_refresh() - add vCPUs that were created since the last call
 * @vm: the VM
 * @ret_vcpus: number of vCPUs; on success all of them are in vm->vcpus
 *
 * Context: process, under apf_host_lock.
 * Return: 0, -ENOENT if the VM is dying, -ENOMEM.
 */
int apf_host_vm_refresh(struct apf_host_vm *vm, u32 *ret_vcpus)
{
	struct apf_host_vcpu *new;
	struct kvm_vcpu *vcpu;
	unsigned long flags;
	u32 i, n = 0;
	bool alive;

	lockdep_assert_held(&apf_host_lock);

	raw_spin_lock_irqsave(&gone_lock, flags);
	alive = vm->kvm;
	if (alive)
		n = min_t(u32, atomic_read(&vm->kvm->online_vcpus), vm->vcpus_max);
	raw_spin_unlock_irqrestore(&gone_lock, flags);
	if (!alive)
		return -ENOENT;

	for (i = 0; i < n; i++) {
		if (vm->vcpus[i])
			continue;
		new = kzalloc(sizeof(*new), GFP_KERNEL_ACCOUNT);
		if (!new)
			return -ENOMEM;
		apf_host_stats_init(&new->stats);
		apf_host_report_init(&new->report);
		new->state = vm->state;
		new->leased = vm->leased;

		raw_spin_lock_irqsave(&gone_lock, flags);
		vcpu = vm->kvm ? kvm_get_vcpu(vm->kvm, i) : NULL;
		if (vcpu)
			new->vcpu_id = vcpu->vcpu_id;
		raw_spin_unlock_irqrestore(&gone_lock, flags);
		if (!vcpu) {
			kfree(new);
			return -ENOENT;
		}

		/* Pairs with smp_load_acquire() in apf_host_vm_find_vcpu(). */
		smp_store_release(&vm->vcpus[i], new);
	}

	*ret_vcpus = n;
	return 0;
}

/**
 * apf_host_vm_guest_apf() - the APF mode that the guest has requested on one vCPU
 * @vm: the VM
 * @index: the vCPU
 *
 * Return: &enum apf_guest_apf; APF_GUEST_APF_OFF for a VM that is dying.
 */
u32 apf_host_vm_guest_apf(struct apf_host_vm *vm, u32 index)
{
	u32 mode = APF_GUEST_APF_OFF;
	struct kvm_vcpu *vcpu;
	unsigned long flags;

	raw_spin_lock_irqsave(&gone_lock, flags);
	vcpu = vm->kvm ? kvm_get_vcpu(vm->kvm, index) : NULL;
	if (vcpu)
		mode = apf_host_guest_apf(vcpu);
	raw_spin_unlock_irqrestore(&gone_lock, flags);

	return mode;
}

/* Leases are checked once a second while there are any. */
static void vm_lease_work(struct work_struct *work);
static DECLARE_DELAYED_WORK(lease_work, vm_lease_work);

static void vm_set_lease(struct apf_host_vm *vm, u32 lease_msec)
{
	if (!lease_msec)
		return;
	vm->lease_nsec = lease_msec * (u64)NSEC_PER_MSEC;
	vm->lease_since_nsec = ktime_get_ns();
	queue_delayed_work(vm_wq, &lease_work, HZ);
}

/**
 * apf_host_vm_set_state() - set the gates of a VM and of all its vCPUs
 * @vm: the VM
 * @state: &enum apf_state
 * @lease_msec: length of the lease, 0: the state stays
 *
 * Context: process, under apf_host_lock.
 */
void apf_host_vm_set_state(struct apf_host_vm *vm, u32 state, u32 lease_msec)
{
	u32 i;

	lockdep_assert_held(&apf_host_lock);

	/* Set the VM's state first, because it is used for vCPUs that are not known yet. */
	WRITE_ONCE(vm->state, state);
	vm->leased = lease_msec;
	for (i = 0; i < vm->vcpus_max; i++) {
		if (!vm->vcpus[i])
			continue;
		WRITE_ONCE(vm->vcpus[i]->state, state);
		vm->vcpus[i]->leased = lease_msec;
	}
	vm_set_lease(vm, lease_msec);
}

/**
 * apf_host_vm_set_vcpu_state() - set the gate of one vCPU
 * @vm: the VM
 * @index: a vCPU that vm->vcpus has
 * @state: &enum apf_state
 * @lease_msec: as in apf_host_vm_set_state()
 *
 * Context: process, under apf_host_lock.
 */
void apf_host_vm_set_vcpu_state(struct apf_host_vm *vm, u32 index, u32 state, u32 lease_msec)
{
	lockdep_assert_held(&apf_host_lock);

	WRITE_ONCE(vm->vcpus[index]->state, state);
	vm->vcpus[index]->leased = lease_msec;
	vm_set_lease(vm, lease_msec);
}

/* Gives the VM's gates that have a lease back to KVM. */
static void vm_end_lease(struct apf_host_vm *vm)
{
	bool whole = vm->leased, any = vm->leased;
	u32 i;

	if (vm->leased)
		WRITE_ONCE(vm->state, APF_STATE_ON);
	for (i = 0; i < vm->vcpus_max; i++) {
		if (!vm->vcpus[i])
			continue;
		if (vm->vcpus[i]->leased)
			WRITE_ONCE(vm->vcpus[i]->state, APF_STATE_ON);
		any = any || vm->vcpus[i]->leased;
		whole = whole && vm->vcpus[i]->leased;
	}
	if (any) {
		pr_notice_ratelimited("VM %u: a lease was not renewed, its gates are on again\n", vm->id);
		owner->lease_ended(vm, whole);
	}

	vm->leased = false;
	vm->lease_nsec = 0;
	for (i = 0; i < vm->vcpus_max; i++)
		if (vm->vcpus[i])
			vm->vcpus[i]->leased = false;
}

static void vm_lease_work(struct work_struct *work)
{
	u64 now_nsec = ktime_get_ns();
	struct apf_host_vm *vm;
	bool left = false;
	unsigned long id;

	mutex_lock(&apf_host_lock);
	xa_for_each(&vm_ids, id, vm) {
		if (!vm->lease_nsec)
			continue;
		/* Another change may have come between the clock and the lock. */
		if ((s64)(now_nsec - max(vm->lease_since_nsec, leases_renewed_nsec)) >=
		    (s64)vm->lease_nsec)
			vm_end_lease(vm);
		else
			left = true;
	}
	if (left)
		queue_delayed_work(vm_wq, &lease_work, HZ);
	mutex_unlock(&apf_host_lock);
}

/* Starts all leases again, each with its own length. Under apf_host_lock. */
void apf_host_vm_renew_leases(void)
{
	lockdep_assert_held(&apf_host_lock);
	leases_renewed_nsec = ktime_get_ns();
}

/* Number of VMs with gates that have a lease. Under apf_host_lock. */
u32 apf_host_vm_leases(void)
{
	struct apf_host_vm *vm;
	unsigned long id;
	u32 n = 0;

	lockdep_assert_held(&apf_host_lock);

	xa_for_each(&vm_ids, id, vm)
		n += !!vm->lease_nsec;
	return n;
}

struct apf_host_vm *apf_host_vm_get(u32 id)
{
	struct apf_host_vm *vm;

	lockdep_assert_held(&apf_host_lock);

	vm = xa_load(&vm_ids, id);
	return vm && READ_ONCE(vm->kvm) ? vm : NULL;
}

/* Finds the VM with the lowest id that is at least *id, and sets *id; NULL if there is none. */
struct apf_host_vm *apf_host_vm_next(u32 *id)
{
	unsigned long index = *id;
	struct apf_host_vm *vm;

	lockdep_assert_held(&apf_host_lock);

	xa_for_each_start(&vm_ids, index, vm, *id) {
		if (!READ_ONCE(vm->kvm))
			continue;
		*id = index;
		return vm;
	}
	return NULL;
}

u32 apf_host_vm_count(void)
{
	lockdep_assert_held(&apf_host_lock);
	return vm_count;
}

/*
 * The process of the VM. KVM stores the id of the thread that created the VM, but this
 * thread may have ended and its id may have been reused. So check that the task has the
 * VM's mm.
 */
static pid_t vm_pid(struct kvm *kvm)
{
	pid_t pid = kvm->userspace_pid;
	struct task_struct *task;

	rcu_read_lock();
	task = pid_task(find_pid_ns(pid, &init_pid_ns), PIDTYPE_PID);
#ifdef CONFIG_MEMCG
	if (!task || READ_ONCE(task->mm) != kvm->mm)
		task = rcu_dereference(kvm->mm->owner);
#endif
	if (task)
		pid = task_tgid_nr(task);
	rcu_read_unlock();
	return pid;
}

/**
 * apf_host_vm_add() - begin to watch a VM
 * @kvm: the VM; the caller holds a reference to it for the length of the call
 * @state: gate of all its vCPUs, &enum apf_state
 * @ret_vm: the entry; on -EEXIST, the existing entry
 *
 * Context: process, under apf_host_lock.
 * Return: 0, -EEXIST, -ENOSPC, -ENOMEM.
 */
int apf_host_vm_add(struct kvm *kvm, u32 state, struct apf_host_vm **ret_vm)
{
	struct apf_host_vm *vm;
	unsigned long flags;
	u32 vcpus;
	int ret;

	lockdep_assert_held(&apf_host_lock);

	/* RCU is only for the walk; apf_host_lock keeps the entry valid. */
	rcu_read_lock();
	vm = vm_find(kvm);
	rcu_read_unlock();
	if (vm) {
		*ret_vm = vm;
		return -EEXIST;
	}

	if (vm_count >= APF_HOST_MAX_VMS)
		return -ENOSPC;

	vm = kvzalloc(struct_size(vm, vcpus, KVM_MAX_VCPUS), GFP_KERNEL_ACCOUNT);
	if (!vm)
		return -ENOMEM;
	vm->kvm = kvm;
	vm->pid = vm_pid(kvm);
	vm->state = state;
	vm->added_nsec = ktime_get_ns();
	vm->vcpus_max = KVM_MAX_VCPUS;
	INIT_WORK(&vm->grow_work, vm_grow_work);
	INIT_WORK(&vm->scan_work, vm_scan_work);
	INIT_DELAYED_WORK(&vm->notify_work, vm_notify_work);
	INIT_WORK(&vm->gone_work, vm_gone_work);

	ret = apf_host_vm_refresh(vm, &vcpus);
	if (ret)
		goto err_refresh;

	ret = xa_alloc_cyclic(&vm_ids, &vm->id, vm, xa_limit_31b, &vm_next_id, GFP_KERNEL_ACCOUNT);
	if (ret < 0)
		goto err_refresh;
	vm_count++;

	raw_spin_lock_irqsave(&gone_lock, flags);
	hash_add_rcu(vm_hash, &vm->node, (unsigned long)kvm);
	raw_spin_unlock_irqrestore(&gone_lock, flags);

	*ret_vm = vm;
	return 0;

err_refresh:
	vm_free(vm);
	return ret;
}

/**
 * apf_host_vm_del() - stop watching a VM, so that it has KVM's own behaviour again
 * @vm: the entry from apf_host_vm_get(); afterwards this function does not find it any more
 *
 * Context: process, under apf_host_lock.
 */
void apf_host_vm_del(struct apf_host_vm *vm)
{
	lockdep_assert_held(&apf_host_lock);

	/* If false, apf_host_vm_dying() was faster and has queued gone_work. */
	if (vm_unhash(vm)) {
		vm->deleted = true;
		queue_work(vm_wq, &vm->gone_work);
	}
}

/**
 * apf_host_vm_init() - call it before all other functions of this file
 * @calls: callbacks; must stay valid
 *
 * Return: 0, -ENOMEM.
 */
int apf_host_vm_init(const struct apf_host_vm_calls *calls)
{
	owner = calls;
	vm_wq = alloc_workqueue(KBUILD_MODNAME, WQ_UNBOUND, 0);
	return vm_wq ? 0 : -ENOMEM;
}

/**
 * apf_host_vm_del_all() - stop watching all VMs, before the module is unloaded
 *
 * Freeing the last entry also detaches the hooks (apf_host_vm_calls.released).
 *
 * Context: process; nobody can add a VM any more.
 */
void apf_host_vm_del_all(void)
{
	struct apf_host_vm *vm;
	unsigned long id;

	mutex_lock(&apf_host_lock);
	xa_for_each(&vm_ids, id, vm)
		apf_host_vm_del(vm);
	mutex_unlock(&apf_host_lock);
}

/* Call it after apf_host_vm_del_all(): only work that gone_work waits for is still queued. */
void apf_host_vm_uninit(void)
{
	/* Without VMs it does not queue itself again. */
	cancel_delayed_work_sync(&lease_work);
	/*
	 * A VM that ended at the same time: apf_host_vm_dying() has removed it from the hash, so
	 * apf_host_vm_del() did nothing, but it may not have queued gone_work yet.
	 */
	synchronize_rcu();
	/* Flush first: a workqueue that is being destroyed does not accept delayed work. */
	flush_workqueue(vm_wq);
	destroy_workqueue(vm_wq);
	WARN_ON(!xa_empty(&vm_ids));
}
