/* SPDX-License-Identifier: GPL-2.0 */
#include "doctor-vm.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>

#include "util.h"

/* Of asm/kvm_para.h, which only x86 has. */
#define FEATURE_ASYNC_PF     (UINT32_C(1) << 4)
#define FEATURE_ASYNC_PF_INT (UINT32_C(1) << 14)

enum {
	FDS_SCANNED_MAX = 1 << 16, /* bounds the work one process can cause */
	CGROUP_DEPTH_MAX = 64,
	LIST_MAX = 96,
};

/* A QEMU locks a little for itself; less than this is no reason for anything. */
#define LOCKED_MIN_BYTES (UINT64_C(64) << 20)

/*
 * Below these many swap-ins a share says nothing: at 100, a true share of 50 %
 * shows as less than 35 % in one of 500 looks. As in apfctl status.
 */
#define MIN_SWAPINS	100
#define MIN_SWAPIN_RATE 20
#define LOW_SHARE	0.35

/* A guest's task that has waited longer is worth a word. */
#define WAITER_OLD_MSEC 5000

/**
 * struct process - what /proc tells of the VM's process
 * @args: see cmdline_load(); NULL if they could not be had
 * @known: the memory figures are
 * @vfio_fds: open descriptors of VFIO devices
 * @sev_fd: it holds the encryption device of the CPU
 */
struct process {
	const char *args;
	bool known;
	uint64_t resident_bytes, swapped_bytes, locked_bytes, pinned_bytes, huge_bytes;
	unsigned int vfio_fds;
	bool sev_fd;
};

/* As a shell takes it for one word, whoever chose the name. */
static char *quote(const char *name)
{
	char *quoted = malloc(4 * strlen(name) + 3), *q = quoted;

	if (!quoted)
		return NULL;
	if (*name &&
	    name[strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
			      "0123456789._,=+-")] == '\0' &&
	    *name != '-')
		return strcpy(quoted, name);
	*q++ = '\'';
	for (; *name; name++) {
		if (*name == '\'')
			q = stpcpy(q, "'\\'");
		*q++ = *name;
	}
	*q++ = '\'';
	*q = '\0';
	return quoted;
}

/* ---- the process ---- */

static void read_memory(struct process *p, const char *proc_root, uint32_t pid)
{
	_cleanup_fclose_ FILE *file = NULL;
	char path[PATH_MAX], line[256];
	struct {
		const char *key;
		uint64_t *bytes;
	} keys[] = {
		{ "VmRSS:", &p->resident_bytes },    { "VmSwap:", &p->swapped_bytes },
		{ "VmLck:", &p->locked_bytes },	     { "VmPin:", &p->pinned_bytes },
		{ "HugetlbPages:", &p->huge_bytes },
	};

	if ((size_t)snprintf(path, sizeof(path), "%s/%u/status", proc_root, pid) >= sizeof(path))
		return;
	file = fopen(path, "re");
	while (file && fgets(line, sizeof(line), file))
		for (size_t i = 0; i < ELEMENTSOF(keys); i++) {
			size_t len = strlen(keys[i].key);
			unsigned long long kib;

			if (strncmp(line, keys[i].key, len) == 0 &&
			    sscanf(line + len, " %llu", &kib) == 1 && kib < UINT64_MAX / 1024) {
				*keys[i].bytes = kib * 1024;
				p->known = true;
			}
		}
}

static void read_descriptors(struct process *p, const char *proc_root, uint32_t pid)
{
	_cleanup_(closedirp) DIR *dir = NULL;
	char path[PATH_MAX], link[64];
	struct dirent *de;

	if ((size_t)snprintf(path, sizeof(path), "%s/%u/fd", proc_root, pid) >= sizeof(path))
		return;
	dir = opendir(path);
	for (size_t n = 0; dir && n < FDS_SCANNED_MAX && (de = readdir(dir)); n++) {
		ssize_t len = readlinkat(dirfd(dir), de->d_name, link, sizeof(link) - 1);

		if (len < 0)
			continue;
		link[len] = '\0';
		if (streq(link, "anon_inode:[vfio-device]") ||
		    strncmp(link, "/dev/vfio/devices/", 18) == 0)
			p->vfio_fds++;
		else if (streq(link, "/dev/sev"))
			p->sev_fd = true;
	}
}

/* Does the value of an option @name, "-name" or "--name", contain @part? */
static bool any_value(const struct process *p, const char *name, const char *part)
{
	for (const char *a = p->args; a && *a; a += strlen(a) + 1) {
		const char *option = a;

		if (*option++ != '-')
			continue;
		option += *option == '-';
		if (streq(option, name) && strstr(a + strlen(a) + 1, part))
			return true;
	}
	return false;
}

/* The value of the last option @name, NULL if there is none. */
static const char *value_of(const struct process *p, const char *name)
{
	const char *found = NULL;

	for (const char *a = p->args; a && *a; a += strlen(a) + 1) {
		const char *option = a;

		if (*option++ != '-')
			continue;
		option += *option == '-';
		if (streq(option, name))
			found = a + strlen(a) + 1;
	}
	return found && *found ? found : NULL;
}

/* Is @flag in the comma-separated list @value? "+flag" too, and '_' for '-'. 1, 0; -1: not said. */
static int flag_in(const char *value, const char *flag)
{
	size_t flag_len = strlen(flag);
	int found = -1;

	for (const char *item = value; item && *item;) {
		size_t len = strcspn(item, ",");
		const char *name = item;
		size_t i, name_len = len;
		int says = 1;

		if (*name == '+' || *name == '-') {
			says = *name == '+';
			name++;
			name_len--;
		}
		for (i = 0; i < name_len && i < flag_len &&
			    (name[i] == flag[i] || (name[i] == '_' && flag[i] == '-'));
		     i++)
			;
		if (i == flag_len && (name_len == flag_len || name[flag_len] == '=')) {
			if (name_len > flag_len + 1)
				says = strncmp(name + flag_len, "=on", 3) == 0 ||
				       strncmp(name + flag_len, "=yes", 4) == 0 ||
				       strncmp(name + flag_len, "=true", 5) == 0;
			found = says;
		}
		item += len + (item[len] == ',');
	}
	return found;
}

static bool model_is(const char *cpu, const char *model)
{
	size_t len = strlen(model);

	return strncmp(cpu, model, len) == 0 && (cpu[len] == ',' || cpu[len] == '\0');
}

/* What QEMU's -cpu and -global offer; -1: it is no QEMU, or does not say. */
static int offered_by_args(const struct process *p, const char *flag, bool of_named_models)
{
	const char *cpu = value_of(p, "cpu");
	char global[64];
	int said;

	if (!cpu || flag_in(cpu, "kvm") == 0)
		return cpu ? 0 : -1;
	said = flag_in(cpu, flag);
	if (said >= 0)
		return said;
	snprintf(global, sizeof(global), ".%s=on", flag);
	if (any_value(p, "global", global))
		return 1;
	return of_named_models || model_is(cpu, "host") || model_is(cpu, "max");
}

/* ---- checks ---- */

/* "0, 2, 5" of the vCPUs for which @is holds, and how many they are. */
static size_t list_vcpus(const struct doctor_vm *v, bool (*is)(const struct genl_vcpu *vcpu),
			 char list[static LIST_MAX])
{
	size_t n = 0, len = 0;

	list[0] = '\0';
	for (size_t i = 0; i < v->n_vcpus; i++) {
		if (!is(&v->vcpus[i]))
			continue;
		if (len + 16 < LIST_MAX)
			len += (size_t)snprintf(list + len, LIST_MAX - len, "%s%u", n ? ", " : "",
						v->vcpus[i].index);
		else if (len < LIST_MAX - 4 && list[len - 1] != '.')
			len += (size_t)snprintf(list + len, LIST_MAX - len, "...");
		n++;
	}
	return n;
}

static void check_watched(const struct doctor_vm *v, struct diagnosis *d)
{
	if (!v->why_unwatched)
		diag_add(d, CHECK_WATCHED, DIAG_OK, "apf_host watches it (PID %u)", v->pid);
	else
		diag_add(d, CHECK_WATCHED, DIAG_FAIL, "apf_host does not watch it: %s",
			 v->why_unwatched);
	if (v->why_unwatched && !v->module)
		diag_remedy(d, "load it:\n  modprobe apf_host");
}

static void check_gate(const struct doctor_vm *v, struct diagnosis *d)
{
	switch (v->state) {
	case VM_STATE_ON:
		diag_add(d, CHECK_GATE, DIAG_OK, "on: asynchronous whenever KVM can");
		break;
	case VM_STATE_PV:
		diag_add(d, CHECK_GATE, DIAG_OK, "pv: asynchronous while the guest can be told");
		break;
	case VM_STATE_OFF:
	case VM_STATE_MIXED:
		diag_add(d, CHECK_GATE, v->automatic ? DIAG_OK : DIAG_WARN, "%s%s",
			 v->state == VM_STATE_OFF ? "off: every swap-in stops its vCPU"
						  : "mixed: not all vCPUs have the same",
			 v->automatic ? "; apfd decides about it" : "");
		if (v->automatic)
			diag_remedy(d, "apfd says why:\n  apfctl why %s", v->name);
		else
			diag_remedy(d,
				    "open it, if it is not closed on purpose:\n"
				    "  apfctl enable %s",
				    v->name);
		break;
	case VM_STATE_UNKNOWN:
		break;
	}
}

/* Every vCPU that was seen offers it: 1; one does not: 0; none was seen: -1. */
static int offered_by_kvm(const struct doctor_vm *v, uint32_t bit)
{
	int offered = -1;

	for (size_t i = 0; !v->why_unwatched && i < v->n_vcpus; i++) {
		const struct genl_vcpu *vcpu = &v->vcpus[i];

		if (vcpu->kvm_features_known)
			offered = offered != 0 && (vcpu->kvm_features & bit);
		/* It could not have asked otherwise. */
		else if (offered < 0 && vcpu->guest_apf != APF_GUEST_APF_OFF)
			offered = 1;
	}
	return offered;
}

static void remedy_asyncpf_int(const struct doctor_vm *v, const struct process *p,
			       struct diagnosis *d)
{
	const char *cpu = value_of(p, "cpu");

	if (v->libvirt && v->config && domain_xml_offers_asyncpf_int(v->config)) {
		diag_remedy(d,
			    "its definition offers it already; shut it down and start it again (a "
			    "reboot from inside is not enough):\n  virsh shutdown %s\n"
			    "  virsh start %s",
			    v->name, v->name);
	} else if (v->libvirt) {
		diag_remedy(d,
			    "give it the host's CPU (virsh edit %s, then shut it down and start "
			    "it again):\n"
			    "  <cpu mode='host-passthrough'/>\n"
			    "or keep its CPU model and add, at the end of <domain type='kvm' "
			    "xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'> (libvirt "
			    "itself has no name for the feature):\n"
			    "  <qemu:commandline>\n"
			    "    <qemu:arg value='-global'/>\n"
			    "    <qemu:arg value='x86_64-cpu.kvm-asyncpf-int=on'/>\n"
			    "  </qemu:commandline>",
			    v->name);
	} else if (cpu) {
		_cleanup_free_ char *quoted = strlen(cpu) <= 200 ? quote(cpu) : NULL;

		diag_remedy(d,
			    "start QEMU with the host's CPU:\n  -cpu host\n"
			    "or add it to the model it has:\n  -cpu %s,kvm-asyncpf-int=on",
			    quoted ?: "MODEL");
	} else {
		diag_remedy(d, "have its VMM set bits 4 and 14 of EAX in KVM's CPUID leaf "
			       "0x40000001");
	}
}

static void check_cpuid(const struct doctor_vm *v, const struct process *p, struct diagnosis *d)
{
	const char *cpu = value_of(p, "cpu");
	int apf, apf_int, known;
	char model[DOMAIN_XML_MODEL_MAX] = "";

	apf = offered_by_kvm(v, FEATURE_ASYNC_PF);
	apf_int = offered_by_kvm(v, FEATURE_ASYNC_PF_INT);
	known = apf >= 0;
	if (!known) {
		apf = offered_by_args(p, "kvm-asyncpf", true);
		apf_int = offered_by_args(p, "kvm-asyncpf-int", false);
	}
	if (cpu)
		snprintf(model, sizeof(model), " (CPU %.*s)", (int)MIN_OF(strcspn(cpu, ","), 48UL),
			 cpu);

	if (apf < 0) {
		diag_add(d, CHECK_ASYNCPF, DIAG_UNKNOWN,
			 "not known before its first fault under apf_host's eyes");
		diag_add(d, CHECK_ASYNCPF_INT, DIAG_UNKNOWN,
			 "not known before its first fault under apf_host's eyes");
		return;
	}
	if (apf) {
		diag_add(d, CHECK_ASYNCPF, DIAG_OK, "its CPUID offers kvm-asyncpf%s",
			 known ? "" : ", by its command line");
	} else {
		diag_add(d, CHECK_ASYNCPF, DIAG_FAIL,
			 "its CPUID does not offer kvm-asyncpf%s: the guest does not know of APF",
			 model);
		if (v->live && v->live->kvm_hidden)
			diag_remedy(d,
				    "do not hide KVM from it: virsh edit %s, and take out\n"
				    "  <kvm><hidden state='on'/></kvm>",
				    v->name);
		else
			diag_remedy(d, "take kvm=off or kvm-asyncpf=off out of its CPU");
	}
	if (apf_int) {
		diag_add(d, CHECK_ASYNCPF_INT, DIAG_OK, "its CPUID offers kvm-asyncpf-int%s",
			 known ? "" : ", by its command line");
	} else {
		diag_add(d, CHECK_ASYNCPF_INT, DIAG_FAIL,
			 "its CPUID does not offer kvm-asyncpf-int%s: the guest cannot be told of "
			 "missing pages, KVM can only halt its vCPUs",
			 model);
		remedy_asyncpf_int(v, p, d);
	}
}

static bool apf_is_off(const struct genl_vcpu *vcpu)
{
	/* apf_guest switches off on a vCPU whose emergency nodes are in use: it did ask. */
	return vcpu->guest_apf == APF_GUEST_APF_OFF && !vcpu->paused;
}

static bool apf_is_user(const struct genl_vcpu *vcpu)
{
	return vcpu->guest_apf == APF_GUEST_APF_USER;
}

static void check_guest_apf(const struct doctor_vm *v, struct diagnosis *d)
{
	const struct diag_finding *cpuid = diag_find(d, CHECK_ASYNCPF_INT);
	char list[LIST_MAX];
	size_t n;

	if (v->n_vcpus == 0)
		return;
	n = list_vcpus(v, apf_is_off, list);
	if (n == v->n_vcpus && cpuid && cpuid->state == DIAG_FAIL) {
		diag_add(d, CHECK_GUEST_APF, DIAG_FAIL,
			 "the guest has not asked for APF, for it is not offered: see asyncpf-int");
	} else if (n == v->n_vcpus) {
		diag_add(d, CHECK_GUEST_APF, DIAG_FAIL,
			 "the guest has not asked for APF: it still boots, is no Linux or one "
			 "before 5.8, or was told no-kvmapf");
		diag_remedy(d, "boot it with Linux 5.8 or newer, without no-kvmapf on its "
			       "kernel's command line");
	} else if (n > 0) {
		diag_add(d, CHECK_GUEST_APF, DIAG_WARN,
			 "the guest has not asked for APF on vCPU %s: are they offline in it?",
			 list);
	} else {
		n = list_vcpus(v, apf_is_user, list);
		diag_add(d, CHECK_GUEST_APF, DIAG_OK,
			 n ? "the guest asked to be told while it runs user code"
			   : "the guest asked to be told in user and kernel code");
	}
}

static void check_guest_module(const struct doctor_vm *v, struct diagnosis *d)
{
	const uint32_t *g = v->guest;

	if (v->guest_module != VM_GUEST_MODULE_PRESENT) {
		diag_add(d, CHECK_GUEST_MODULE, DIAG_OK,
			 "apf_guest does not report; it is not needed, but without it a lost "
			 "wake-up hangs a task for ever");
		return;
	}
	diag_add(d, CHECK_GUEST_MODULE, DIAG_OK, "apf_guest reports");

	if (g[APF_GUEST_A_POOL_IN_USE] > 0)
		diag_add(d, CHECK_GUEST_POOL, DIAG_WARN,
			 "%u of %u emergency nodes are in use: gates are closed until they are "
			 "back",
			 g[APF_GUEST_A_POOL_IN_USE], g[APF_GUEST_A_POOL_SIZE]);
	else if (g[APF_GUEST_A_POOL_EXHAUSTED] > 0)
		diag_add(d, CHECK_GUEST_POOL, DIAG_WARN,
			 "the guest ran out of its %u emergency nodes, times: %u",
			 g[APF_GUEST_A_POOL_SIZE], g[APF_GUEST_A_POOL_EXHAUSTED]);
	else
		diag_add(d, CHECK_GUEST_POOL, DIAG_OK, "none of %u emergency nodes is in use",
			 g[APF_GUEST_A_POOL_SIZE]);
	if (g[APF_GUEST_A_POOL_IN_USE] > 0 || g[APF_GUEST_A_POOL_EXHAUSTED] > 0)
		diag_remedy(d, "give the guest more memory, or load its module with more nodes "
			       "(in the guest):\n  modprobe apf_guest pool=8");

	if (g[APF_GUEST_A_SLEEPERS] > 0 && g[APF_GUEST_A_OLDEST_SLEEPER_MSEC] >= WAITER_OLD_MSEC) {
		diag_add(d, CHECK_WAITERS, DIAG_FAIL,
			 "a task of the guest has waited %u ms for its page",
			 g[APF_GUEST_A_OLDEST_SLEEPER_MSEC]);
		diag_remedy(d,
			    "look at the swap device, or do without APF for now:\n"
			    "  apfctl disable %s",
			    v->name);
	} else if (g[APF_GUEST_A_RESCUES] > 0) {
		diag_add(d, CHECK_WAITERS, DIAG_WARN,
			 "the guest woke tasks whose page-ready did not come in time, times: %u",
			 g[APF_GUEST_A_RESCUES]);
		diag_remedy(d, "see how slow swap is:\n  apfctl status %s", v->name);
	} else {
		diag_add(d, CHECK_WAITERS, DIAG_OK, "no task of the guest waits for long");
	}
}

static void check_encryption(const struct doctor_vm *v, const struct process *p,
			     struct diagnosis *d)
{
	static const char *const types[] = { "sev-snp-guest", "sev-guest", "tdx-guest" };
	const char *type = v->live && v->live->launch_security[0] ? v->live->launch_security : NULL;

	for (size_t i = 0; !type && i < ELEMENTSOF(types); i++)
		if (any_value(p, "object", types[i]))
			type = types[i];
	if (!type && p->sev_fd)
		type = "sev";
	if (!type) {
		if (p->args)
			diag_add(d, CHECK_ENCRYPTION, DIAG_OK, "its memory is not encrypted");
		return;
	}
	diag_add(d, CHECK_ENCRYPTION, DIAG_FAIL,
		 "its memory is encrypted (%s): the host can neither swap it nor tell the guest "
		 "of missing pages",
		 type);
	diag_remedy(d, "APF is not for it; keep it out of overcommit, or start it without "
		       "<launchSecurity>");
}

static void check_qemu(const struct process *p, struct diagnosis *d)
{
	if (!value_of(p, "cpu"))
		return;
	if (any_value(p, "machine", "kernel-irqchip=off") ||
	    any_value(p, "machine", "kernel_irqchip=off") ||
	    any_value(p, "M", "kernel-irqchip=off")) {
		diag_add(d, CHECK_IRQCHIP, DIAG_FAIL,
			 "its interrupt controller is emulated by QEMU: KVM then does no APF");
		diag_remedy(d, "take kernel-irqchip=off out of its machine");
	} else {
		diag_add(d, CHECK_IRQCHIP, DIAG_OK, "KVM emulates its interrupt controller");
	}
	if (any_value(p, "overcommit", "cpu-pm=on")) {
		diag_add(d, CHECK_CPU_PM, DIAG_WARN,
			 "cpu-pm=on: KVM cannot halt a vCPU of it, so pages that are missing "
			 "while the guest cannot be told stop the vCPU");
		diag_remedy(d, "if it is to be overcommitted, start it without:\n"
			       "  -overcommit cpu-pm=on");
	} else {
		diag_add(d, CHECK_CPU_PM, DIAG_OK, "KVM can halt its vCPUs");
	}
}

static bool offers_nested(const struct doctor_vm *v, const struct process *p)
{
	const char *cpu = value_of(p, "cpu");
	int svm = flag_in(cpu, "svm"), vmx = flag_in(cpu, "vmx");
	char path[PATH_MAX], nested = 'N';
	_cleanup_close_ int fd = -1;

	if (!cpu)
		return false;
	if (svm == 1 || vmx == 1)
		return true;
	if ((!model_is(cpu, "host") && !model_is(cpu, "max")) || svm == 0 || vmx == 0)
		return false;
	/* The host's own, if KVM lets it. */
	snprintf(path, sizeof(path), "%s/module/kvm_amd/parameters/nested", v->sys_root);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0) {
		snprintf(path, sizeof(path), "%s/module/kvm_intel/parameters/nested", v->sys_root);
		fd = open(path, O_RDONLY | O_CLOEXEC);
	}
	return fd >= 0 && read(fd, &nested, 1) == 1 && (nested == '1' || nested == 'Y');
}

static void check_nested(const struct doctor_vm *v, const struct process *p, struct diagnosis *d)
{
	bool offered = offers_nested(v, p);
	uint64_t refused = 0, asked = 0;

	if (!v->why_unwatched) {
		refused = v->totals->counters[APF_STAT_REFUSED_NESTED];
		asked = v->totals->counters[APF_STAT_ASKED];
	}
	if (refused > 0) {
		diag_add(d, CHECK_NESTED, refused > asked / 2 ? DIAG_FAIL : DIAG_WARN,
			 "the guest runs guests of its own; %" PRIu64 " of %" PRIu64
			 " faults came while it did and were synchronous",
			 refused, asked);
		diag_remedy(d, "run those guests on the host, or do not overcommit this VM");
	} else if (offered && v->module && !v->nested_guard) {
		diag_add(d, CHECK_NESTED, DIAG_WARN,
			 "the guest may run guests of its own, and the nested guard is off");
		diag_remedy(d, "see nested-guard");
	} else if (offered) {
		diag_add(d, CHECK_NESTED, DIAG_OK,
			 "the guest may run guests of its own; none was running at a fault so far");
	} else if (value_of(p, "cpu")) {
		diag_add(d, CHECK_NESTED, DIAG_OK, "the guest cannot run guests of its own");
	}
}

static uint64_t mib(uint64_t bytes)
{
	return bytes >> 20;
}

/* What can never be swapped. */
static void check_memory(const struct doctor_vm *v, const struct process *p, struct diagnosis *d)
{
	uint64_t resident = p->resident_bytes + p->swapped_bytes;

	if (!p->known)
		return;

	if (p->huge_bytes > 0) {
		diag_add(d, CHECK_HUGE_PAGES, p->huge_bytes > resident ? DIAG_FAIL : DIAG_WARN,
			 "%" PRIu64 " MiB of its memory are huge pages, which are never swapped",
			 mib(p->huge_bytes));
		if (v->libvirt)
			diag_remedy(d,
				    "if it is to be overcommitted: virsh edit %s, take out "
				    "the following, shut it down and start it again\n"
				    "  <memoryBacking><hugepages/></memoryBacking>",
				    v->name);
		else
			diag_remedy(d, "if it is to be overcommitted, start it without huge pages");
	} else {
		diag_add(d, CHECK_HUGE_PAGES, DIAG_OK, "its memory is not in huge pages");
	}

	if (p->vfio_fds > 0 || (v->live && v->live->hostdevs > 0)) {
		diag_add(d, CHECK_VFIO, DIAG_FAIL,
			 "it has %u of the host's devices (VFIO): they reach all of its memory, "
			 "which is pinned for that and never swapped",
			 MAX_OF(p->vfio_fds, v->live ? v->live->hostdevs : 0));
		diag_remedy(d, "if it is to be overcommitted, give it virtio devices instead");
	} else {
		diag_add(d, CHECK_VFIO, DIAG_OK, "it has no device of the host");
	}

	if ((v->live && v->live->locked) || p->locked_bytes > LOCKED_MIN_BYTES ||
	    p->pinned_bytes > LOCKED_MIN_BYTES) {
		uint64_t locked = MAX_OF(p->locked_bytes, p->pinned_bytes);
		bool most = locked > resident / 2 || (v->live && v->live->locked);

		diag_add(d, CHECK_LOCKED, most ? DIAG_FAIL : DIAG_WARN,
			 "%" PRIu64 " MiB of its memory are locked and never swapped", mib(locked));
		if (v->libvirt && v->live && v->live->locked)
			diag_remedy(d,
				    "if it is to be overcommitted: virsh edit %s, take out "
				    "the following, shut it down and start it again\n"
				    "  <memoryBacking><locked/></memoryBacking>",
				    v->name);
		else
			diag_remedy(d, "if it is to be overcommitted, start it without mem-lock "
				       "(and see vfio)");
	} else {
		diag_add(d, CHECK_LOCKED, DIAG_OK, "its memory is not locked");
	}
}

/* ---- its cgroup ---- */

/* The limit in @name of a folder of cgroup v2: bytes, UINT64_MAX for "max" or none. */
static uint64_t read_limit(const char *sys_root, const char *group, const char *name)
{
	_cleanup_fclose_ FILE *file = NULL;
	char path[2 * PATH_MAX], text[32];
	uint64_t bytes;
	char *end;

	snprintf(path, sizeof(path), "%s/fs/cgroup%s/%s", sys_root, group, name);
	file = fopen(path, "re");
	if (!file || !fgets(text, sizeof(text), file))
		return UINT64_MAX;
	errno = 0;
	bytes = strtoull(text, &end, 10);
	return errno || end == text ? UINT64_MAX : bytes;
}

static bool read_group(const struct doctor_vm *v, char group[static PATH_MAX])
{
	_cleanup_fclose_ FILE *file = NULL;
	char path[PATH_MAX], line[PATH_MAX];

	if ((size_t)snprintf(path, sizeof(path), "%s/%u/cgroup", v->proc_root, v->pid) >=
	    sizeof(path))
		return false;
	file = fopen(path, "re");
	while (file && fgets(line, sizeof(line), file)) {
		line[strcspn(line, "\n")] = '\0';
		/* A path with ".." is of a namespace that is not ours. */
		if (strncmp(line, "0::/", 4) == 0 && !strstr(line, "/..")) {
			snprintf(group, PATH_MAX, "%s", line + 3);
			return true;
		}
	}
	return false;
}

static void remedy_swap_limit(const char *group, struct diagnosis *d)
{
	_cleanup_free_ char *quoted = NULL;
	char path[PATH_MAX + 64];

	/* Whoever made the group chose its name, and this is typed by root. */
	snprintf(path, sizeof(path), "/sys/fs/cgroup%s/memory.swap.max", group);
	quoted = quote(path);
	if (quoted && strlen(quoted) < DIAG_REMEDY_MAX - 64)
		diag_remedy(d, "let it swap:\n  echo max > %s", quoted);
	else
		diag_remedy(d, "let it swap: write max to memory.swap.max there");
}

static void check_swap_limit(const struct doctor_vm *v, struct diagnosis *d)
{
	uint64_t memory = UINT64_MAX, swap = UINT64_MAX;
	char group[PATH_MAX], where[PATH_MAX] = "", text[64] = "";

	if (!v->pid || !read_group(v, group))
		return;
	/* The root has no limits; the tightest on the way to it counts. */
	for (int i = 0; i < CGROUP_DEPTH_MAX && strlen(group) > 1; i++) {
		uint64_t limit = read_limit(v->sys_root, group, "memory.swap.max");

		memory = MIN_OF(memory, read_limit(v->sys_root, group, "memory.max"));
		if (limit < swap) {
			swap = limit;
			snprintf(where, sizeof(where), "%s", group);
		}
		*strrchr(group, '/') = '\0';
	}
	if (memory != UINT64_MAX)
		snprintf(text, sizeof(text), " (its memory is limited to %" PRIu64 " MiB)",
			 mib(memory));
	if (swap == 0) {
		diag_add(d, CHECK_SWAP_LIMIT, DIAG_FAIL,
			 "its cgroup may not swap: memory.swap.max is 0 in %.200s", where);
		remedy_swap_limit(where, d);
	} else if (swap != UINT64_MAX) {
		diag_add(d, CHECK_SWAP_LIMIT, DIAG_OK,
			 "its cgroup may have %" PRIu64 " MiB in swap%s", mib(swap), text);
	} else {
		diag_add(d, CHECK_SWAP_LIMIT, DIAG_OK, "its cgroup may swap%s", text);
	}
}

/* ---- what the counters say ---- */

static void check_swap_ins(const struct doctor_vm *v, struct diagnosis *d)
{
	const uint64_t *c = v->totals->counters;
	double async = v->figures->async_rate, sync = v->figures->sync_rate, share;
	bool now = async + sync >= MIN_SWAPIN_RATE;

	/* A VM that swaps now is judged by now, not by what its gate was yesterday. */
	if (!now) {
		async = (double)c[APF_STAT_READY];
		sync = (double)c[APF_STAT_SYNC_STALLS];
	}
	if (!now && async + sync < MIN_SWAPINS) {
		diag_add(d, CHECK_SWAP_INS, DIAG_OK, "%.0f swap-ins so far: too few to judge",
			 async + sync);
		return;
	}
	share = async / (async + sync);
	if (share >= LOW_SHARE) {
		diag_add(d, CHECK_SWAP_INS, DIAG_OK, "%.0f %% of its swap-ins are asynchronous%s",
			 100 * share, now ? "" : ", all time");
	} else if (v->state == VM_STATE_OFF) {
		diag_add(d, CHECK_SWAP_INS, DIAG_OK,
			 "%.0f %% of its swap-ins are asynchronous: its gate is off", 100 * share);
	} else if (v->just_moved) {
		diag_add(d, CHECK_SWAP_INS, DIAG_OK,
			 "a gate of it was moved just now: too early to judge");
	} else {
		diag_add(d, CHECK_SWAP_INS, now ? DIAG_FAIL : DIAG_WARN,
			 "only %.0f %% of its swap-ins are asynchronous%s, though its gate is %s: "
			 "APF is silently inactive",
			 100 * share, now ? "" : ", all time", vm_state_to_string(v->state));
		diag_remedy(d,
			    "see what else failed here and on the host; if nothing did, see "
			    "its counters:\n  apfctl status %s",
			    v->name);
	}
}

static void check_probe_misses(const struct doctor_vm *v, struct diagnosis *d)
{
	const uint64_t *c = v->totals->counters;
	uint64_t misses = c[APF_STAT_PROBE_MISSES];

	/* One in a hundred: figures are then off by more than they are rounded. */
	if (misses > 0 && misses >= (c[APF_STAT_NOT_PRESENT] + c[APF_STAT_SYNC_STALLS]) / 100)
		diag_add(d, CHECK_PROBE_MISSES, DIAG_WARN,
			 "%" PRIu64 " events could not be classified or timed: latencies and "
			 "shares are less exact",
			 misses);
	else
		diag_add(d, CHECK_PROBE_MISSES, DIAG_OK, "%" PRIu64 " events were not seen whole",
			 misses);
}

void doctor_vm(const struct doctor_vm *given, struct diagnosis *d)
{
	struct process p = { .args = given->args };
	_cleanup_free_ char *quoted = quote(given->name);
	struct doctor_vm with_quoted_name = *given;
	const struct doctor_vm *v = &with_quoted_name;

	with_quoted_name.name = quoted ?: "VM";

	if (v->pid) {
		read_memory(&p, v->proc_root, v->pid);
		read_descriptors(&p, v->proc_root, v->pid);
	}
	check_watched(v, d);
	if (!v->why_unwatched)
		check_gate(v, d);
	if (v->pid)
		check_cpuid(v, &p, d);
	if (!v->why_unwatched) {
		check_guest_apf(v, d);
		check_guest_module(v, d);
	}
	check_encryption(v, &p, d);
	check_qemu(&p, d);
	check_nested(v, &p, d);
	check_memory(v, &p, d);
	check_swap_limit(v, d);
	if (!v->why_unwatched) {
		check_swap_ins(v, d);
		check_probe_misses(v, d);
	}
}
