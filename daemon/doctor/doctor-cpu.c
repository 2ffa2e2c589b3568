/* SPDX-License-Identifier: GPL-2.0 */
#include "doctor-checks.h"

#include "remedy.h"
#include "util.h"

/* From asm/kvm_para.h, which exists only on x86. */
#define FEATURE_ASYNC_PF     (UINT32_C(1) << 4)
#define FEATURE_ASYNC_PF_INT (UINT32_C(1) << 14)

/* 1: all vCPUs with known features offer @bit; 0: one does not; -1: no features are known. */
static int offered_by_kvm(const struct doctor_vm *v, uint32_t bit)
{
	int offered = -1;

	for (size_t i = 0; !v->why_unwatched && i < v->n_vcpus; i++) {
		const struct genl_vcpu *vcpu = &v->vcpus[i];

		if (vcpu->kvm_features_known)
			offered = offered != 0 && (vcpu->kvm_features & bit);
		/* The guest uses APF on this vCPU, so the feature must be offered. */
		else if (offered < 0 && vcpu->guest_apf != APF_GUEST_APF_OFF)
			offered = 1;
	}
	return offered;
}

static void diagnose_asyncpf(const struct subject *s, int offered, const char *source,
			     const char *model, struct diagnosis *d)
{
	if (offered) {
		diag_add(d, CHECK_ASYNCPF, DIAG_OK, "its CPUID offers kvm-asyncpf%s", source);
	} else if (s->windows) {
		diag_add(d, CHECK_ASYNCPF, DIAG_OK,
			 "its CPUID does not offer kvm-asyncpf%s, which Windows does not use",
			 model);
	} else {
		diag_add(d, CHECK_ASYNCPF, DIAG_FAIL,
			 "its CPUID does not offer kvm-asyncpf%s: the guest does not know of APF",
			 model);
		remedy_add(REMEDY_HIDDEN, &s->vmm, d);
	}
}

static void diagnose_asyncpf_int(const struct subject *s, int offered, const char *source,
				 const char *model, struct diagnosis *d)
{
	const struct doctor_vm *v = s->v;

	if (offered) {
		diag_add(d, CHECK_ASYNCPF_INT, DIAG_OK, "its CPUID offers kvm-asyncpf-int%s",
			 source);
		return;
	}
	if (s->windows) {
		diag_add(d, CHECK_ASYNCPF_INT, DIAG_OK,
			 "its CPUID does not offer kvm-asyncpf-int%s, which Windows does not use",
			 model);
		return;
	}
	diag_add(d, CHECK_ASYNCPF_INT, DIAG_FAIL,
		 "its CPUID does not offer kvm-asyncpf-int%s: KVM cannot notify the guest "
		 "of missing pages, it can only halt vCPUs",
		 model);
	if (!v->identity && v->config && domain_xml_offers_asyncpf_int(v->config))
		diag_remedy(d,
			    "its definition offers kvm-asyncpf-int already; shut the VM down and "
			    "start it again (a reboot is not enough):\n  virsh shutdown %s\n"
			    "  virsh start %s",
			    v->name, v->name);
	/* While KVM is hidden, nothing else helps. */
	else if (diag_find(d, CHECK_ASYNCPF)->state == DIAG_FAIL)
		diag_remedy(d, "see asyncpf first");
	else
		remedy_asyncpf_int(&s->vmm, &s->process, d);
}

void doctor_cpu(const struct subject *s, struct diagnosis *d)
{
	const struct process *p = &s->process;
	const char *cpu = process_value_of(p, "cpu");
	const char *source = "";
	char model[DOMAIN_XML_MODEL_MAX] = "";
	int apf, apf_int;

	if (!s->v->pid)
		return;
	apf = offered_by_kvm(s->v, FEATURE_ASYNC_PF);
	apf_int = offered_by_kvm(s->v, FEATURE_ASYNC_PF_INT);
	if (apf < 0) {
		apf = process_offers(p, "kvm-asyncpf", true);
		apf_int = process_offers(p, "kvm-asyncpf-int", false);
		source = ", by its command line";
	}
	if (apf < 0) {
		diag_add(d, CHECK_ASYNCPF, DIAG_UNKNOWN,
			 "not known until apf_host has seen a fault of the VM");
		diag_add(d, CHECK_ASYNCPF_INT, DIAG_UNKNOWN,
			 "not known until apf_host has seen a fault of the VM");
		return;
	}
	if (cpu)
		snprintf(model, sizeof(model), " (CPU %.*s)", (int)MIN_OF(strcspn(cpu, ","), 48UL),
			 cpu);
	diagnose_asyncpf(s, apf, source, model, d);
	diagnose_asyncpf_int(s, apf_int, source, model, d);
}
