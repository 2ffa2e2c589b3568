// SPDX-License-Identifier: GPL-2.0
/*
 * The VMs the module was told of, and their vCPUs.
 *
 * Locks, outermost first:
 *   apf_host_lock  mutex; the id table, gates, lifetime
 *   gone_lock      raw spinlock; the hash, and apf_host_vm.kvm for those who
 *                  follow it outside of its vCPU threads. Taken in a probe with
 *                  interrupts in any state, hence irqsave and raw.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/hashtable.h>
#include <linux/ktime.h>
#include <linux/mm.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/xarray.h>

#include "netlink.h"
#include "probe.h"
#include "vm.h"

DEFINE_MUTEX(apf_host_lock);

static DEFINE_RAW_SPINLOCK(gone_lock);
static DEFINE_HASHTABLE(vm_hash, 8);
static DEFINE_XARRAY_ALLOC1(vm_ids);
static u32 vm_next_id;
static u32 vm_count;
static struct workqueue_struct *vm_wq;

static void vm_free(struct apf_host_vm *vm)
{
	u32 i;

	for (i = 0; i < vm->vcpus_max; i++)
		kfree(vm->vcpus[i]);
	kvfree(vm);
}

/* Takes a VM away from the probes. True if this call did it: then queue gone_work. */
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
	 * Probes may still be looking at it, and queue the other items. The
	 * order counts: look_work queues tell_work.
	 */
	synchronize_rcu();
	cancel_work_sync(&vm->grow_work);
	cancel_work_sync(&vm->look_work);
	cancel_delayed_work_sync(&vm->tell_work);

	/* The last that is told of it. */
	if (!vm->deleted)
		apf_host_netlink_vm_gone(vm);
	vm_free(vm);
}

static void vm_grow_work(struct work_struct *work)
{
	struct apf_host_vm *vm = container_of(work, struct apf_host_vm, grow_work);
	u32 vcpus;

	mutex_lock(&apf_host_lock);
	apf_host_vm_refresh(vm, &vcpus);
	mutex_unlock(&apf_host_lock);
}

static void vm_tell_work(struct work_struct *work)
{
	apf_host_report_tell(container_of(work, struct apf_host_vm, tell_work.work));
}

/* Looks that ended less than this ago are young enough for who asks. */
#define LOOK_IDLE_NSEC	(400 * NSEC_PER_MSEC)

/*
 * Looks at the reports of vCPUs that have not faulted for a while, from outside
 * of their threads. The VM and its memory are kept by references of our own for
 * the time of the look; the last one may turn out to be ours, which ends the VM
 * here: fine, no lock is held.
 */
static void vm_look_work(struct work_struct *work)
{
	struct apf_host_vm *vm = container_of(work, struct apf_host_vm, look_work);
	struct apf_host_vcpu *vcpu;
	u64 now_nsec = ktime_get_ns();
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
			vcpu = smp_load_acquire(&vm->vcpus[i]);
			if (vcpu && now_nsec - READ_ONCE(vcpu->report.looked_nsec) > LOOK_IDLE_NSEC)
				apf_host_probe_look_idle(vm, vcpu, kvm_get_vcpu(kvm, i));
		}
		srcu_read_unlock(&kvm->srcu, srcu);
		kthread_unuse_mm(kvm->mm);
		mmput(kvm->mm);
	}
	kvm_put_kvm(kvm);
}

/**
 * apf_host_vm_look() - see that the reports of idle vCPUs are young
 * @vm: the VM
 *
 * The result is there a moment later; anybody may ask, so not too often.
 *
 * Context: process, under apf_host_lock.
 */
void apf_host_vm_look(struct apf_host_vm *vm)
{
	u64 now_nsec = ktime_get_ns();

	lockdep_assert_held(&apf_host_lock);

	if (now_nsec - vm->looked_nsec < LOOK_IDLE_NSEC)
		return;
	vm->looked_nsec = now_nsec;
	queue_work(vm_wq, &vm->look_work);
}

/**
 * apf_host_vm_tell() - there is news in a report of the VM
 * @vm: the VM
 *
 * Context: any but NMI; what bounds how much a guest can make us say.
 */
void apf_host_vm_tell(struct apf_host_vm *vm)
{
	queue_delayed_work(vm_wq, &vm->tell_work, HZ / 10);
}

/**
 * apf_host_vm_dying() - KVM is about to destroy a VM
 * @kvm: the VM, known to us or not
 *
 * Context: a probe; may not sleep, so the rest is left to a work item. When it
 * returns nobody follows @kvm any more.
 */
void apf_host_vm_dying(struct kvm *kvm)
{
	struct apf_host_vm *vm;

	rcu_read_lock();
	vm = apf_host_vm_find(kvm);
	if (vm && vm_unhash(vm))
		queue_work(vm_wq, &vm->gone_work);
	rcu_read_unlock();
}

struct apf_host_vm *apf_host_vm_find(struct kvm *kvm)
{
	struct apf_host_vm *vm;

	hash_for_each_possible_rcu(vm_hash, vm, node, (unsigned long)kvm)
		if (READ_ONCE(vm->kvm) == kvm)
			return vm;
	return NULL;
}

/**
 * apf_host_vm_vcpu_known() - find a vCPU of a VM, if it is known
 * @vm: the VM
 * @index: kvm_vcpu.vcpu_idx
 *
 * Return: the vCPU, or NULL if it is new to us.
 */
struct apf_host_vcpu *apf_host_vm_vcpu_known(struct apf_host_vm *vm, unsigned int index)
{
	return index < vm->vcpus_max ? smp_load_acquire(&vm->vcpus[index]) : NULL;
}

/**
 * apf_host_vm_vcpu() - find a vCPU of a VM
 * @vm: the VM
 * @index: kvm_vcpu.vcpu_idx
 *
 * Return: the vCPU, or NULL if it is new to us; then it is counted as unseen
 * and will be known shortly. Until then the VM's own gate holds for it.
 */
struct apf_host_vcpu *apf_host_vm_vcpu(struct apf_host_vm *vm, unsigned int index)
{
	struct apf_host_vcpu *vcpu = apf_host_vm_vcpu_known(vm, index);

	if (!vcpu) {
		atomic64_inc(&vm->unseen);
		queue_work(vm_wq, &vm->grow_work);
	}
	return vcpu;
}

/**
 * apf_host_vm_refresh() - learn of vCPUs created since the last time
 * @vm: the VM
 * @ret_vcpus: how many vCPUs it has; all of them are in vm->vcpus on success
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

		raw_spin_lock_irqsave(&gone_lock, flags);
		vcpu = vm->kvm ? kvm_get_vcpu(vm->kvm, i) : NULL;
		if (vcpu)
			new->vcpu_id = vcpu->vcpu_id;
		raw_spin_unlock_irqrestore(&gone_lock, flags);
		if (!vcpu) {
			kfree(new);
			return -ENOENT;
		}

		/* Pairs with smp_load_acquire() in apf_host_vm_vcpu(). */
		smp_store_release(&vm->vcpus[i], new);
	}

	*ret_vcpus = n;
	return 0;
}

/**
 * apf_host_vm_guest_apf() - what the guest asked KVM for on one vCPU
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
		mode = apf_host_probe_guest_apf(vcpu);
	raw_spin_unlock_irqrestore(&gone_lock, flags);

	return mode;
}

void apf_host_vm_set_state(struct apf_host_vm *vm, u32 state)
{
	u32 i;

	lockdep_assert_held(&apf_host_lock);

	/* First the VM's, which holds for vCPUs that are not known yet. */
	WRITE_ONCE(vm->state, state);
	for (i = 0; i < vm->vcpus_max; i++)
		if (vm->vcpus[i])
			WRITE_ONCE(vm->vcpus[i]->state, state);
}

struct apf_host_vm *apf_host_vm_get(u32 id)
{
	struct apf_host_vm *vm;

	lockdep_assert_held(&apf_host_lock);

	vm = xa_load(&vm_ids, id);
	return vm && READ_ONCE(vm->kvm) ? vm : NULL;
}

/* The VM with the lowest id from *id on, which is set to it; or NULL. */
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

/**
 * apf_host_vm_add() - begin to watch a VM
 * @kvm: the VM; the caller holds a reference to it for the length of the call
 * @state: gate of all its vCPUs, &enum apf_state
 * @ret_vm: the entry; also set on -EEXIST, to the one there is
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

	/* Only the hash is RCU here; apf_host_lock keeps what it finds. */
	rcu_read_lock();
	vm = apf_host_vm_find(kvm);
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
	vm->pid = kvm->userspace_pid;
	vm->state = state;
	vm->added_nsec = ktime_get_ns();
	vm->vcpus_max = KVM_MAX_VCPUS;
	INIT_WORK(&vm->grow_work, vm_grow_work);
	INIT_WORK(&vm->look_work, vm_look_work);
	INIT_DELAYED_WORK(&vm->tell_work, vm_tell_work);
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
 * apf_host_vm_del() - stop watching a VM, which gets KVM's own behaviour back
 * @vm: the entry, as apf_host_vm_get() gave it, which finds it no more
 *
 * Context: process, under apf_host_lock.
 */
void apf_host_vm_del(struct apf_host_vm *vm)
{
	lockdep_assert_held(&apf_host_lock);

	/* Lost against apf_host_vm_dying() otherwise, which does the same. */
	if (vm_unhash(vm)) {
		vm->deleted = true;
		queue_work(vm_wq, &vm->gone_work);
	}
}

int apf_host_vm_init(void)
{
	vm_wq = alloc_workqueue(KBUILD_MODNAME, 0, 0);
	return vm_wq ? 0 : -ENOMEM;
}

/**
 * apf_host_vm_forget() - stop watching every VM, before the module goes
 *
 * While the probe on kvm_arch_destroy_vm() is still there: afterwards a VM that
 * dies would leave us with a pointer into nowhere, which work items follow.
 *
 * Context: process; nobody can add a VM any more.
 */
void apf_host_vm_forget(void)
{
	struct apf_host_vm *vm;
	unsigned long id;

	mutex_lock(&apf_host_lock);
	xa_for_each(&vm_ids, id, vm)
		apf_host_vm_del(vm);
	mutex_unlock(&apf_host_lock);
}

/* After the probes: nothing is queued but what gone_work waits for. */
void apf_host_vm_uninit(void)
{
	/* First: a queue being destroyed takes no delayed work, which may be due. */
	flush_workqueue(vm_wq);
	destroy_workqueue(vm_wq);
	WARN_ON(!xa_empty(&vm_ids));
}
