// SPDX-License-Identifier: GPL-2.0
/*
 * /sys/module/apf_guest/stats/ (the sum of all CPUs) and /sys/module/apf_guest/stats/cpuN/: one
 * figure per file, read only. The names are those in struct apf_figures and in the report block.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/cpu.h>
#include <linux/jiffies.h>
#include <linux/kobject.h>
#include <linux/kvm_para.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/sysfs.h>

#include "guest.h"

/* A directory of figures. */
struct apf_stats {
	struct kobject kobj;
	int cpu; /* -1: all */
};

struct apf_stats_attr {
	struct attribute attr;
	size_t offset;
};

static const bool *apf_stats_active;
static struct apf_stats *apf_stats_total;
static struct apf_stats **apf_stats_cpu;

static void apf_figures_of(const struct apf_stats *s, struct apf_figures *ret_f)
{
	if (s->cpu < 0)
		apf_table_total(&apf_table, ret_f);
	else
		apf_table_figures(&apf_table, s->cpu, ret_f);
}

static u32 apf_stuck_of(const struct apf_stats *s)
{
	unsigned int cpu;
	u32 sum = 0;

	for_each_possible_cpu(cpu)
		if (s->cpu < 0 || s->cpu == cpu)
			sum += READ_ONCE(per_cpu_ptr(&apf_vcpu, cpu)->stuck);
	return sum;
}

#define FIGURE(fig)                                                                                \
	static struct apf_stats_attr attr_##fig = {                                                \
		.attr = { .name = #fig, .mode = 0444 },                                            \
		.offset = offsetof(struct apf_figures, fig),                                       \
	}

FIGURE(pool_size);
FIGURE(pool_in_use);
FIGURE(pool_taken);
FIGURE(pool_exhausted);
FIGURE(sleepers);
FIGURE(early_wakes);
FIGURE(rescues);
FIGURE(unknown_tokens);
FIGURE(waits);
FIGURE(wakes);
FIGURE(broadcasts);
FIGURE(refused);
FIGURE(late);
FIGURE(aged);
FIGURE(duplicates);
FIGURE(zero_tokens);

/* Figures that are not fields of struct apf_figures. */
static struct apf_stats_attr attr_oldest = { .attr = { .name = "oldest_sleeper_ms", .mode = 0444 } };
static struct apf_stats_attr attr_stuck = { .attr = { .name = "stuck", .mode = 0444 } };
static struct apf_stats_attr attr_active = { .attr = { .name = "active", .mode = 0444 } };
/*
 * For root only: sleepers_in_table takes every lock of the table; msr is a guest-physical address,
 * and reading it costs an interrupt and an exit to the host.
 */
static struct apf_stats_attr attr_in_table = { .attr = { .name = "sleepers_in_table", .mode = 0400 } };
static struct apf_stats_attr attr_msr = { .attr = { .name = "msr", .mode = 0400 } };
static struct apf_stats_attr attr_report = { .attr = { .name = "report", .mode = 0444 } };

static struct attribute *figure_attrs[] = {
	&attr_pool_size.attr,	   &attr_pool_in_use.attr, &attr_pool_taken.attr,
	&attr_pool_exhausted.attr, &attr_sleepers.attr,	   &attr_early_wakes.attr,
	&attr_rescues.attr,	   &attr_unknown_tokens.attr, &attr_oldest.attr,
	&attr_waits.attr,	   &attr_wakes.attr,	   &attr_broadcasts.attr,
	&attr_refused.attr,	   &attr_late.attr,	   &attr_aged.attr,
	&attr_duplicates.attr,	   &attr_zero_tokens.attr, &attr_stuck.attr,
	NULL,
};
ATTRIBUTE_GROUPS(figure);

static struct attribute *total_attrs[] = { &attr_active.attr, &attr_in_table.attr, NULL };
static const struct attribute_group total_group = { .attrs = total_attrs };

static struct attribute *cpu_attrs[] = { &attr_msr.attr, &attr_report.attr, NULL };
static const struct attribute_group cpu_group = { .attrs = cpu_attrs };

static ssize_t apf_stats_show(struct kobject *kobj, struct attribute *attr, char *buf)
{
	struct apf_stats *s = container_of(kobj, struct apf_stats, kobj);
	struct apf_stats_attr *a = container_of(attr, struct apf_stats_attr, attr);
	struct apf_figures f;
	u64 msr;
	int ret;

	if (a == &attr_in_table)
		return sysfs_emit(buf, "%u\n", apf_table_sleepers(&apf_table));
	if (a == &attr_active)
		return sysfs_emit(buf, "%d\n", READ_ONCE(*apf_stats_active));
	if (a == &attr_stuck)
		return sysfs_emit(buf, "%u\n", apf_stuck_of(s));
	if (a == &attr_msr) {
		ret = apf_cpu_msr(s->cpu, &msr);
		return ret ? ret : sysfs_emit(buf, "%#llx\n", msr);
	}
	if (a == &attr_report)
		return sysfs_emit(buf, "%d\n", !!READ_ONCE(per_cpu_ptr(&apf_vcpu, s->cpu)->report));

	apf_figures_of(s, &f);
	if (a == &attr_oldest)
		return sysfs_emit(buf, "%u\n", jiffies_to_msecs(f.oldest));
	return sysfs_emit(buf, "%u\n", *(u32 *)((char *)&f + a->offset));
}

static const struct sysfs_ops apf_stats_sysfs_ops = { .show = apf_stats_show };

static void apf_stats_release(struct kobject *kobj)
{
	kfree(container_of(kobj, struct apf_stats, kobj));
}

static struct kobj_type apf_stats_type = {
	.sysfs_ops = &apf_stats_sysfs_ops,
	.release = apf_stats_release,
	.default_groups = figure_groups,
};

/* Drops the last reference: removes the directory, if it exists, and frees @s. */
static void apf_stats_del(struct apf_stats *s)
{
	if (s)
		kobject_put(&s->kobj);
}

static struct apf_stats *apf_stats_add(struct kobject *parent, int cpu,
				       const struct attribute_group *more)
{
	struct apf_stats *s = kzalloc(sizeof(*s), GFP_KERNEL);
	int ret;

	if (!s)
		return ERR_PTR(-ENOMEM);
	s->cpu = cpu;
	if (cpu < 0)
		ret = kobject_init_and_add(&s->kobj, &apf_stats_type, parent, "stats");
	else
		ret = kobject_init_and_add(&s->kobj, &apf_stats_type, parent, "cpu%d", cpu);
	if (!ret)
		ret = sysfs_create_group(&s->kobj, more);
	if (ret) {
		apf_stats_del(s);
		return ERR_PTR(ret);
	}
	return s;
}

int apf_sysfs_init(const bool *active)
{
	struct apf_stats *s;
	unsigned int cpu;

	apf_stats_active = active;
	apf_stats_cpu = kcalloc(nr_cpu_ids, sizeof(struct apf_stats *), GFP_KERNEL);
	if (!apf_stats_cpu)
		return -ENOMEM;
	s = apf_stats_add(&THIS_MODULE->mkobj.kobj, -1, &total_group);
	if (IS_ERR(s))
		goto err_stats;
	apf_stats_total = s;
	for_each_possible_cpu(cpu) {
		s = apf_stats_add(&apf_stats_total->kobj, cpu, &cpu_group);
		if (IS_ERR(s))
			goto err_stats;
		apf_stats_cpu[cpu] = s;
	}
	return 0;

err_stats:
	apf_sysfs_uninit();
	return PTR_ERR(s);
}

/* After a directory was removed, no show() runs any more. */
void apf_sysfs_uninit(void)
{
	unsigned int cpu;

	for_each_possible_cpu(cpu)
		apf_stats_del(apf_stats_cpu[cpu]);
	apf_stats_del(apf_stats_total);
	kfree(apf_stats_cpu);
}
