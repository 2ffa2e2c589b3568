/* SPDX-License-Identifier: GPL-2.0 */
#include "remedy.h"

#include <limits.h>
#include <string.h>

#include "quote.h"
#include "util.h"

/* A CPU model is printed as part of a command; a longer one only as MODEL. */
enum { CPU_MAX = 200 };

#define IF_OVERCOMMITTED "if it is to be overcommitted"
#define RESTART_DOMAIN	 ", shut it down and start it again"
#define RESTART_PROXMOX	 "\n  qm shutdown @ && qm start @"
#define EDIT_KUBEVIRT	 "kubectl edit vm @, below spec.template.spec.domain"

/* clang-format off */
/* "@" stands for the VM's name. A manager without its own words gets those of VM_MANAGER_OTHER. */
static const char *const words[_REMEDY_MAX][_VM_MANAGER_MAX] = {
	[REMEDY_HIDDEN] = {
		[VM_MANAGER_OTHER] = "do not hide KVM from the guest",
		[VM_MANAGER_LIBVIRT] = "do not hide KVM from it: virsh edit @, and take out\n"
				"  <kvm><hidden state='on'/></kvm>",
		[VM_MANAGER_PROXMOX] = "do not hide KVM from it; with the host's CPU:\n"
				"  qm set @ --cpu host" RESTART_PROXMOX,
		[VM_MANAGER_KUBERNETES] = "do not hide KVM from it: " EDIT_KUBEVIRT ", set\n"
				   "  features:\n    kvm:\n      hidden: false",
		[VM_MANAGER_CLOUD_HYPERVISOR] = "start it without Hyper-V's CPUID leaves:\n"
					 "  --cpus boot=N,kvm_hyperv=off",
		[VM_MANAGER_QEMU] = "take kvm=off or kvm-asyncpf=off out of its CPU",
	},
	[REMEDY_HUGE_PAGES] = {
		[VM_MANAGER_OTHER] = IF_OVERCOMMITTED ", start it without huge pages",
		[VM_MANAGER_LIBVIRT] = IF_OVERCOMMITTED ": virsh edit @, take out the following"
				RESTART_DOMAIN "\n"
				"  <memoryBacking><hugepages/></memoryBacking>",
		[VM_MANAGER_PROXMOX] = IF_OVERCOMMITTED ":\n  qm set @ --delete hugepages" RESTART_PROXMOX,
		[VM_MANAGER_KUBERNETES] = IF_OVERCOMMITTED ": " EDIT_KUBEVIRT ", take out\n"
				   "  memory:\n    hugepages:",
		[VM_MANAGER_FIRECRACKER] = IF_OVERCOMMITTED ", start it with, in PUT /machine-config:\n"
				    "  \"huge_pages\": \"None\"",
		[VM_MANAGER_CLOUD_HYPERVISOR] = IF_OVERCOMMITTED ", start it with:\n"
					 "  --memory size=SIZE,hugepages=off",
		[VM_MANAGER_QEMU] = IF_OVERCOMMITTED ", start it without huge pages: without hugetlb=on, "
			     "and without mem-path in /dev/hugepages",
	},
	[REMEDY_LOCKED] = {
		[VM_MANAGER_OTHER] = IF_OVERCOMMITTED ", start it so that it does not lock its memory",
		[VM_MANAGER_LIBVIRT] = IF_OVERCOMMITTED ": virsh edit @, take out the following"
				RESTART_DOMAIN "\n"
				"  <memoryBacking><locked/></memoryBacking>",
		[VM_MANAGER_PROXMOX] = IF_OVERCOMMITTED ", take -overcommit mem-lock=on out of its args "
				"(see qm config @):\n  qm set @ --delete args" RESTART_PROXMOX,
		[VM_MANAGER_QEMU] = IF_OVERCOMMITTED ", start it without:\n  -overcommit mem-lock=on",
	},
	[REMEDY_DEVICES] = {
		[VM_MANAGER_OTHER] = IF_OVERCOMMITTED ", give it virtio devices instead",
		[VM_MANAGER_LIBVIRT] = IF_OVERCOMMITTED ", give it virtio devices instead: virsh edit @, "
				"replace the device, for example by\n"
				"  <interface type='network'><source network='NETWORK'/>"
				"<model type='virtio'/></interface>\n"
				"  <disk type='block' device='disk'><source dev='DEVICE'/>"
				"<target dev='vda' bus='virtio'/></disk>",
		[VM_MANAGER_PROXMOX] = IF_OVERCOMMITTED ", give it virtio devices instead (all of "
				"hostpci0, hostpci1, ... in qm config @):\n"
				"  qm set @ --delete hostpci0" RESTART_PROXMOX,
		[VM_MANAGER_KUBERNETES] = IF_OVERCOMMITTED ": " EDIT_KUBEVIRT ", take out hostDevices, "
				   "gpus and SR-IOV interfaces; use\n"
				   "  interfaces:\n  - name: default\n    masquerade: {}",
		[VM_MANAGER_CLOUD_HYPERVISOR] = IF_OVERCOMMITTED ", start it without --device and --vdpa; "
					 "use --net and --disk",
		[VM_MANAGER_QEMU] = IF_OVERCOMMITTED ", start it without vfio-pci, vhost-vdpa and "
			     "driver=nvme; use for example\n"
			     "  -netdev tap,id=ID,vhost=on -device virtio-net-pci,netdev=ID",
	},
	[REMEDY_SHARED] = {
		[VM_MANAGER_OTHER] = "if stalls matter more, start it without shared memory",
		[VM_MANAGER_LIBVIRT] = "if stalls matter more, use NFS or 9p for the shared folder: virsh "
				"edit @, take out its virtiofs and vhost-user devices and the "
				"following" RESTART_DOMAIN "\n"
				"  <memoryBacking><source type='memfd'/><access mode='shared'/>"
				"</memoryBacking>",
		[VM_MANAGER_PROXMOX] = "if stalls matter more, use NFS for the shared folder:\n"
				"  qm set @ --delete virtiofs0" RESTART_PROXMOX,
		[VM_MANAGER_KUBERNETES] = "if stalls matter more, use a disk or NFS for the shared "
				   "folder: " EDIT_KUBEVIRT ", take out\n"
				   "  devices:\n    filesystems:",
		[VM_MANAGER_CLOUD_HYPERVISOR] = "if stalls matter more, start it without --fs and "
					 "vhost_user, and with\n  --memory size=SIZE,shared=off",
		[VM_MANAGER_QEMU] = "if stalls matter more, start it without vhost-user devices, and with\n"
			     "  -object memory-backend-ram,id=ID,size=SIZE,share=off",
	},
	[REMEDY_FILE] = {
		[VM_MANAGER_OTHER] = "to have its memory in swap instead, start it with anonymous memory",
		[VM_MANAGER_LIBVIRT] = "to have its memory in swap instead: virsh edit @, replace the "
				"source" RESTART_DOMAIN "\n"
				"  <memoryBacking><source type='anonymous'/></memoryBacking>",
		[VM_MANAGER_CLOUD_HYPERVISOR] = "to have its memory in swap instead, start it without "
					 "file= in --memory and --memory-zone",
		[VM_MANAGER_FIRECRACKER] = "this is how a snapshot is restored; pages that the guest "
				    "writes go to swap later. Put the file on a fast disk",
		[VM_MANAGER_QEMU] = "to have its memory in swap instead, start it without -mem-path, and "
			     "with\n  -object memory-backend-ram,id=ID,size=SIZE",
	},
	[REMEDY_NODES] = {
		[VM_MANAGER_OTHER] = "let it use the memory of other nodes",
		[VM_MANAGER_LIBVIRT] = "let it prefer its node, but use others (virsh edit @"
				RESTART_DOMAIN "):\n"
				"  <numatune><memory mode='preferred' nodeset='NODE'/></numatune>",
		[VM_MANAGER_PROXMOX] = "let it prefer its node, but use others: in its numa0, numa1, ..., "
				"replace policy=bind by policy=preferred (qm set); see\n"
				"  qm config @",
		[VM_MANAGER_KUBERNETES] = "kubelet has bound it (memoryManagerPolicy: Static); give it "
				   "a pod that is not Guaranteed, or a node with more free memory",
		[VM_MANAGER_CLOUD_HYPERVISOR] = "start it without host_numa_node= in --memory-zone",
		[VM_MANAGER_QEMU] = "start it with policy=preferred instead of policy=bind, and without "
			     "numactl --membind",
	},
	[REMEDY_ENCRYPTION] = {
		[VM_MANAGER_OTHER] = "APF cannot work for it: do not overcommit it, or start it without "
			      "encryption",
		[VM_MANAGER_LIBVIRT] = "APF cannot work for it: do not overcommit it, or start it without "
				"<launchSecurity>",
		[VM_MANAGER_PROXMOX] = "APF cannot work for it: do not overcommit it, or start it "
				"without:\n  qm set @ --delete amd-sev" RESTART_PROXMOX,
		[VM_MANAGER_KUBERNETES] = "APF cannot work for it: do not overcommit it, or take out "
				   "launchSecurity: " EDIT_KUBEVIRT,
		[VM_MANAGER_CLOUD_HYPERVISOR] = "APF cannot work for it: do not overcommit it, or start it "
					 "without --platform sev_snp=on or tdx=on",
	},
};
/* clang-format on */

void remedy_add(enum remedy remedy, const struct vm_manager *vmm, struct diagnosis *d)
{
	const char *from = words[remedy][vmm->kind] ?: words[remedy][VM_MANAGER_OTHER];
	char text[DIAG_REMEDY_MAX];
	size_t len = 0;

	for (; *from && len + 1 < sizeof(text); from++) {
		if (*from == '@')
			len += (size_t)snprintf(text + len, sizeof(text) - len, "%s", vmm->name);
		else
			text[len++] = *from;
	}
	text[MIN_OF(len, sizeof(text) - 1)] = '\0';
	diag_remedy(d, "%s", text);
}

/* ---- the CPU ---- */

/* Writes the CPU model of -cpu without its features; "MODEL" if it is not a plain word. */
static void model_of(const char *cpu, char *ret, size_t size)
{
	size_t len = cpu ? strcspn(cpu, ",") : 0;

	if (len == 0 || len >= size ||
	    strspn(cpu, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") < len)
		snprintf(ret, size, "MODEL");
	else
		snprintf(ret, size, "%.*s", (int)len, cpu);
}

static void asyncpf_int_proxmox(const struct vm_manager *vmm, const struct process *p,
				struct diagnosis *d)
{
	char model[64];

	model_of(process_value_of(p, "cpu"), model, sizeof(model));
	/* Proxmox's own names for sets of features cannot be the base of a custom model. */
	if (strncmp(model, "x86-64-", 7) == 0)
		snprintf(model, sizeof(model), "MODEL");
	diag_remedy(d,
		    "give it the host's CPU:\n  qm set %s --cpu host\n"
		    "  qm shutdown %s && qm start %s\n"
		    "or, to keep its model, add the feature on QEMU's command line (if it has args "
		    "already, keep them):\n"
		    "  qm set %s --args '-global x86_64-cpu.kvm-asyncpf-int=on'\n"
		    "or define a model in /etc/pve/virtual-guest/cpu-models.conf, and use it:\n"
		    "  cpu-model: apf\n      flags +kvm-asyncpf-int\n      reported-model %s\n"
		    "  qm set %s --cpu custom-apf",
		    vmm->name, vmm->name, vmm->name, vmm->name, model, vmm->name);
}

static void asyncpf_int_libvirt(const struct vm_manager *vmm, struct diagnosis *d)
{
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
		    vmm->name);
}

static void asyncpf_int_qemu(const struct process *p, struct diagnosis *d)
{
	const char *cpu = process_value_of(p, "cpu");
	_cleanup_free_ char *quoted = cpu && strlen(cpu) <= CPU_MAX ? quote(cpu) : NULL;

	diag_remedy(d,
		    "start QEMU with the host's CPU:\n  -cpu host\n"
		    "or add the feature to its CPU model:\n  -cpu %s,kvm-asyncpf-int=on",
		    quoted ?: "MODEL");
}

void remedy_asyncpf_int(const struct vm_manager *vmm, const struct process *p, struct diagnosis *d)
{
	switch (vmm->kind) {
	case VM_MANAGER_LIBVIRT:
		asyncpf_int_libvirt(vmm, d);
		break;
	case VM_MANAGER_PROXMOX:
		asyncpf_int_proxmox(vmm, p, d);
		break;
	case VM_MANAGER_KUBERNETES:
		diag_remedy(d,
			    "give it the node's CPU, then restart it (virtctl restart): kubectl "
			    "edit vm %s, below spec.template.spec.domain, set\n"
			    "  cpu:\n    model: host-passthrough",
			    vmm->name);
		break;
	case VM_MANAGER_FIRECRACKER:
		/* Bits 4 and 14 of EAX; KVM offers both, unless a template takes them out. */
		diag_remedy(d, "start it without a CPU template, or set bits 4 and 14 in its "
			       "template (PUT /cpu-config, or \"cpu-config\" in the file of "
			       "--config-file):\n"
			       "  {\"cpuid_modifiers\": [{\"leaf\": \"0x40000001\", \"subleaf\": "
			       "\"0x0\", \"flags\": 0,\n"
			       "    \"modifiers\": [{\"register\": \"eax\",\n"
			       "    \"bitmap\": \"0bxxxxxxxxxxxxxxxxx1xxxxxxxxx1xxxx\"}]}]}");
		break;
	case VM_MANAGER_CLOUD_HYPERVISOR:
		diag_remedy(d,
			    "use Cloud Hypervisor 34 or newer (older ones take the feature out), "
			    "without Hyper-V's CPUID leaves, which replace those of KVM:\n"
			    "  --cpus boot=N,kvm_hyperv=off");
		break;
	case VM_MANAGER_QEMU:
		asyncpf_int_qemu(p, d);
		break;
	case VM_MANAGER_OTHER:
	case _VM_MANAGER_MAX:
		diag_remedy(d, "configure its VMM to set bits 4 and 14 of EAX in KVM's CPUID leaf "
			       "0x40000001");
		break;
	}
}

/* ---- the cgroup ---- */

static void swap_limit_kubelet(const char *group, struct diagnosis *d)
{
	bool burstable = strstr(group, "burstable");

	diag_remedy(d,
		    "kubelet sets this limit, also after a change by hand. In the node's "
		    "/var/lib/kubelet/config.yaml, let pods swap, then restart kubelet%s:\n"
		    "  failSwapOn: false\n  memorySwap:\n    swapBehavior: LimitedSwap",
		    burstable ? " and the pod"
			      : ", and make the pod Burstable (memory request below its limit): "
				"other pods never swap");
}

/* A unit of systemd: the part of the path up to its last slice, scope or service. */
static bool find_unit(const char *group, char *ret, size_t size)
{
	const char *slash = strrchr(group, '/');
	const char *dot = slash ? strrchr(slash, '.') : NULL;

	if (!dot || (!streq(dot, ".slice") && !streq(dot, ".scope") && !streq(dot, ".service")))
		return false;
	return (size_t)snprintf(ret, size, "%s", slash + 1) < size;
}

void remedy_swap_limit(const struct vm_manager *vmm, const char *group, bool swap_hard_limit,
		       struct diagnosis *d)
{
	char path[PATH_MAX + 64], unit[NAME_MAX + 1];
	_cleanup_free_ char *quoted = NULL;

	if (vmm->kind == VM_MANAGER_KUBERNETES) {
		swap_limit_kubelet(group, d);
		return;
	}
	if (vmm->kind == VM_MANAGER_LIBVIRT && swap_hard_limit) {
		diag_remedy(
			d,
			"libvirt sets this limit (<swap_hard_limit>); remove it now and for the "
			"next start:\n  virsh memtune %s --swap-hard-limit -1 --live\n"
			"  virsh memtune %s --swap-hard-limit -1 --config",
			vmm->name, vmm->name);
		return;
	}
	/* Quote the path: the group may have any name, and root will execute this command. */
	if (find_unit(group, unit, sizeof(unit))) {
		quoted = quote(unit);
		if (quoted && strlen(quoted) < DIAG_REMEDY_MAX / 2)
			diag_remedy(d,
				    "let it swap; systemd may undo a change of the file:\n"
				    "  systemctl set-property %s%s MemorySwapMax=infinity",
				    /* A scope ends with the VM, so there is nothing to keep. */
				    strstr(unit, ".scope") ? "--runtime " : "", quoted);
		else
			diag_remedy(d, "let it swap: set MemorySwapMax=infinity of that unit");
		return;
	}
	snprintf(path, sizeof(path), "/sys/fs/cgroup%s/memory.swap.max", group);
	quoted = quote(path);
	if (quoted && strlen(quoted) < DIAG_REMEDY_MAX / 2)
		diag_remedy(d, "let it swap%s:\n  echo max > %s",
			    vmm->kind == VM_MANAGER_FIRECRACKER
				    ? "; at the next start, give jailer no --cgroup "
				      "memory.swap.max=0"
				    : "",
			    quoted);
	else
		diag_remedy(d, "let it swap: write max to memory.swap.max there");
}
