/* SPDX-License-Identifier: GPL-2.0 */
#include "doctor-checks.h"

#include <fcntl.h>
#include <inttypes.h>

#include "host-kernel.h"
#include "remedy.h"
#include "util.h"

static void check_encryption(const struct subject *s, struct diagnosis *d)
{
	static const struct {
		const char *option, *part, *type;
	} marks[] = {
		{ "object", "sev-snp-guest", "sev-snp-guest" },
		{ "object", "sev-guest", "sev-guest" },
		{ "object", "tdx-guest", "tdx-guest" },
		{ "platform", "tdx=on", "tdx" },
		{ "platform", "sev_snp=on", "sev-snp" },
	};
	const struct domain_xml *live = s->v->live;
	const struct process *p = &s->process;
	const char *type = live && live->launch_security[0] ? live->launch_security : NULL;

	for (size_t i = 0; !type && i < ELEMENTSOF(marks); i++)
		if (process_any_value(p, marks[i].option, marks[i].part))
			type = marks[i].type;
	if (!type && p->sev_fd)
		type = "sev";
	if (!type && p->guest_memfd)
		type = "guest_memfd";
	if (!type) {
		if (p->args)
			diag_add(d, CHECK_ENCRYPTION, DIAG_OK, "its memory is not encrypted");
		return;
	}
	diag_add(d, CHECK_ENCRYPTION, DIAG_FAIL,
		 "its memory is confidential (%s): the host can neither swap it nor notify the "
		 "guest of missing pages",
		 type);
	remedy_add(REMEDY_ENCRYPTION, &s->vmm, d);
}

/* SMM exists in each QEMU machine, but only firmware with Secure Boot uses it. */
static bool has_smm(const struct subject *s)
{
	const struct process *p = &s->process;

	return (s->v->live && s->v->live->smm) || process_any_value(p, "machine", "smm=on") ||
	       process_any_value(p, "global", "property=secure,value=on") ||
	       process_any_value(p, "global", "cfi.pflash01.secure=on");
}

static void check_smm(const struct subject *s, struct diagnosis *d)
{
	const struct doctor_vm *v = s->v;
	const struct host_roots roots = { .proc = v->proc_root };
	struct host_kernel kernel;
	uint64_t dropped = 0;
	char text[96] = "";
	int keeps;

	if (!s->process.args && !v->live)
		return;
	host_kernel_read(&roots, &kernel);
	keeps = host_kernel_keeps_queue(&roots, &kernel);
	if (!has_smm(s) || s->windows) {
		diag_add(d, CHECK_SMM, DIAG_OK,
			 s->windows ? "SMIs do no harm: Windows does not wait for \"page ready\""
				    : "its firmware does not use SMM");
		return;
	}
	if (keeps == 1 || (!v->why_unwatched && v->state == VM_STATE_OFF)) {
		diag_add(d, CHECK_SMM, DIAG_OK, "its firmware uses SMM; %s",
			 keeps == 1 ? "this kernel keeps outstanding faults at an SMI"
				    : "its gate is off, so an SMI does no harm");
		return;
	}
	if (!v->why_unwatched && stats_counted(v->totals, APF_STAT_DROPPED))
		dropped = v->totals->counters[APF_STAT_DROPPED];
	if (dropped > 0)
		snprintf(text, sizeof(text),
			 "; %" PRIu64 " were dropped so far (a reset of the guest does it, too)",
			 dropped);
	diag_add(
		d, CHECK_SMM, DIAG_WARN,
		"its firmware uses SMM, and this host kernel (%s) %s \"page ready\" of outstanding "
		"faults at an SMI, for example when a UEFI variable is written: a task of the "
		"guest then sleeps for ever%s",
		kernel.release, keeps == 0 ? "drops" : "may drop", text);
	diag_remedy(d,
		    "boot the host with a kernel that has commit ab4e41eb9fab (6.19, 6.18.3, "
		    "6.12.64, 6.6.120, 6.1.160 or newer); until then, load apf_guest in the guest, "
		    "which wakes such tasks, or:\n  apfctl disable %s",
		    v->name);
}

static void check_qemu(const struct process *p, struct diagnosis *d)
{
	if (!process_value_of(p, "cpu"))
		return;
	if (process_any_value(p, "machine", "kernel-irqchip=off") ||
	    process_any_value(p, "machine", "kernel_irqchip=off") ||
	    process_any_value(p, "M", "kernel-irqchip=off")) {
		diag_add(d, CHECK_IRQCHIP, DIAG_FAIL,
			 "QEMU emulates its interrupt controller: KVM does no APF then");
		diag_remedy(d, "remove kernel-irqchip=off from its machine options");
	} else {
		diag_add(d, CHECK_IRQCHIP, DIAG_OK, "KVM emulates its interrupt controller");
	}
	if (process_any_value(p, "overcommit", "cpu-pm=on")) {
		diag_add(d, CHECK_CPU_PM, DIAG_WARN,
			 "cpu-pm=on: KVM cannot halt its vCPUs, so a missing page stops the vCPU "
			 "while the guest cannot be notified");
		diag_remedy(d, "if it is to be overcommitted, start it without:\n"
			       "  -overcommit cpu-pm=on");
	} else {
		diag_add(d, CHECK_CPU_PM, DIAG_OK, "KVM can halt its vCPUs");
	}
}

static bool offers_nested(const struct doctor_vm *v, const struct process *p)
{
	const char *cpu = process_value_of(p, "cpu");
	int svm = process_flag_in(cpu, "svm"), vmx = process_flag_in(cpu, "vmx");
	char path[PATH_MAX], nested = 'N';
	_cleanup_close_ int fd = -1;

	if (!cpu)
		return false;
	if (svm == 1 || vmx == 1)
		return true;
	if ((!process_model_is(cpu, "host") && !process_model_is(cpu, "max")) || svm == 0 ||
	    vmx == 0)
		return false;
	/* The CPU models "host" and "max" offer the feature if KVM allows nested guests. */
	snprintf(path, sizeof(path), "%s/module/kvm_amd/parameters/nested", v->sys_root);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0) {
		snprintf(path, sizeof(path), "%s/module/kvm_intel/parameters/nested", v->sys_root);
		fd = open(path, O_RDONLY | O_CLOEXEC);
	}
	return fd >= 0 && read(fd, &nested, 1) == 1 && (nested == '1' || nested == 'Y');
}

static void check_nested(const struct subject *s, struct diagnosis *d)
{
	const struct doctor_vm *v = s->v;
	const struct process *p = &s->process;
	bool offered = offers_nested(v, p);
	uint64_t refused = 0, asked = 0;

	if (!v->why_unwatched) {
		refused = v->totals->counters[APF_STAT_REFUSED_NESTED];
		asked = v->totals->counters[APF_STAT_ASKED];
	}
	if (refused > 0) {
		diag_add(d, CHECK_NESTED, refused > asked / 2 ? DIAG_FAIL : DIAG_WARN,
			 "the guest runs guests of its own; %" PRIu64 " of %" PRIu64
			 " faults were synchronous because such a guest was running",
			 refused, asked);
		diag_remedy(d, "run those guests on the host, or do not overcommit this VM");
	} else if (offered && v->module && !v->nested_guard) {
		diag_add(d, CHECK_NESTED, DIAG_WARN,
			 "the guest may run guests of its own, and the nested guard is off");
		diag_remedy(d, "see nested-guard");
	} else if (offered) {
		diag_add(d, CHECK_NESTED, DIAG_OK,
			 "the guest may run guests of its own; none was running at a fault so far");
	} else if (process_value_of(p, "cpu")) {
		diag_add(d, CHECK_NESTED, DIAG_OK, "the guest cannot run guests of its own");
	}
}

void doctor_vmm(const struct subject *s, struct diagnosis *d)
{
	check_encryption(s, d);
	check_qemu(&s->process, d);
	check_smm(s, d);
	check_nested(s, d);
}
