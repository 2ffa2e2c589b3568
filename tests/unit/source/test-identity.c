/* SPDX-License-Identifier: GPL-2.0 */
/* Names, ids and UUIDs from command lines, control groups and PID files. */
#include "unit.h"

#include <errno.h>

#include "fixture.h"
#include "identity.h"
#include "util.h"

#define UUID_A	"6f1d0c7e-0000-4000-8000-000000000101"
#define UUID_B	"6f1d0c7e-0000-4000-8000-000000000202"
#define POD_UID "3f0a1b2c-0d0e-4f00-8a00-1234567890ab"
#define POD_CGROUP                                                                      \
	"/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod3f0a1b2c_0d0e_" \
	"4f00_8a00_1234567890ab.slice/crio-aa11.scope/container/libvirt/emulator"

/* The words of @line, separated by blanks; "_" is an empty word. */
static struct vmm_args args_of(const char *line)
{
	static char words[8192];
	struct vmm_args args = { .text = words, .size = strlen(line) + 1 };

	assert_true(args.size < sizeof(words));
	strcpy(words, line);
	for (char *p = words; *p || p < words + args.size - 1; p++)
		if (*p == ' ')
			*p = '\0';
	return args;
}

static struct vmm_claims claims_of(const char *line)
{
	struct vmm_args args = args_of(line);
	struct vmm_claims claims;

	vmm_claims_read(vmm_detect(NULL, &args), &args, &claims);
	return claims;
}

static struct identity make(const char *line, const char *cgroup, long long uid)
{
	struct identity_facts f = { .args = args_of(line),
				    .cgroup = cgroup,
				    .uid = uid,
				    .proxmox_id = "",
				    .pod_namespace = "",
				    .pod_name = "" };
	struct identity i;

	identity_make(&f, &i);
	return i;
}

static void test_vmm(void **state)
{
	static const struct {
		const char *program;
		enum vmm vmm;
	} table[] = {
		{ "/usr/bin/qemu-system-x86_64", VMM_QEMU },
		{ "/usr/libexec/qemu-kvm", VMM_QEMU },
		{ "/usr/bin/kvm", VMM_QEMU },
		{ "/usr/bin/kvm-other", VMM_UNKNOWN },
		{ "/firecracker", VMM_FIRECRACKER },
		{ "/opt/firecracker-v1.7.0-x86_64", VMM_FIRECRACKER },
		{ "cloud-hypervisor-static", VMM_CLOUD_HYPERVISOR },
		{ "/usr/bin/crosvm", VMM_CROSVM },
		{ "lkvm-static", VMM_KVMTOOL },
		{ "/usr/bin/python3", VMM_UNKNOWN },
		{ "", VMM_UNKNOWN },
	};
	struct vmm_args none = {}, qemu = args_of("/usr/bin/kvm -id 1");

	for (size_t i = 0; i < ELEMENTSOF(table); i++)
		assert_int_equal(vmm_detect(table[i].program, &none), table[i].vmm);
	assert_int_equal(vmm_detect(NULL, &qemu), VMM_QEMU);
	assert_int_equal(vmm_detect("/usr/bin/python3", &qemu), VMM_UNKNOWN);
	assert_int_equal(vmm_detect(NULL, &none), VMM_UNKNOWN);
}

static void test_qemu(void **state)
{
	static const struct {
		const char *line, *name, *uuid, *id;
	} table[] = {
		{ "kvm -name web", "web", "", "" },
		{ "kvm -name guest=web,debug-threads=on", "web", "", "" },
		{ "kvm -name debug-threads=on,guest=web", "web", "", "" },
		{ "kvm --name web-01,debug-threads=on -id 101", "web-01", "", "101" },
		{ "kvm -name a -name b", "b", "", "" },
		/* A comma in a name is written twice. */
		{ "kvm -name guest=a,,b,process=x", "a,b", "", "" },
		{ "kvm -name debug-threads=on", "", "", "" },
		{ "kvm -uuid " UUID_A, "", UUID_A, "" },
		{ "kvm -uuid 6F1D0C7E-0000-4000-8000-000000000101", "", UUID_A, "" },
		{ "kvm -smbios type=1,uuid=" UUID_A, "", UUID_A, "" },
		{ "kvm -smbios type=1,manufacturer=x,,uuid=1,uuid=" UUID_A, "", UUID_A, "" },
		{ "kvm -smbios type=2,uuid=" UUID_A, "", "", "" },
		{ "kvm -smbios file=/x", "", "", "" },
		/* Both set the same variable of QEMU, so the last one counts. */
		{ "kvm -uuid " UUID_A " -smbios type=1,uuid=" UUID_B, "", UUID_B, "" },
		{ "kvm -smbios type=1,uuid=" UUID_B " -uuid " UUID_A, "", UUID_A, "" },
		{ "kvm -uuid " UUID_A "0", "", "", "" },
		{ "kvm -uuid 00000000-0000-0000-0000-000000000000", "", "", "" },
		/* The value of an option is no option, whatever it is. */
		{ "kvm -append -name -uuid " UUID_A, "", UUID_A, "" },
		{ "kvm -append -uuid -name x", "x", "", "" },
		{ "kvm -S -daemonize -name x", "x", "", "" },
		{ "kvm -drive -name -S", "-S", "", "" },
		{ "kvm -object name -m -name x disk.img", "x", "", "" },
		{ "kvm disk.img -snapshot disk2.img -name x", "x", "", "" },
		{ "kvm -append  -name x", "x", "", "" }, /* an empty word */
		{ "kvm -name", "", "", "" },
		{ "kvm -name  -id 1", "", "", "1" }, /* an empty name */
		{ "kvm -", "", "", "" },
		{ "kvm", "", "", "" },
	};

	for (size_t i = 0; i < ELEMENTSOF(table); i++) {
		struct vmm_claims c = claims_of(table[i].line);

		print_message("%s\n", table[i].line);
		assert_string_equal(c.name, table[i].name);
		assert_string_equal(c.uuid, table[i].uuid);
		assert_string_equal(c.id, table[i].id);
	}
}

static void test_others(void **state)
{
	static const struct {
		const char *line, *name, *uuid;
	} table[] = {
		{ "firecracker --id web --start-time-us 1", "web", "" },
		{ "firecracker --id=web --api-sock /run/x.sock", "web", "" },
		{ "firecracker --id " UUID_A, UUID_A, UUID_A },
		{ "firecracker --api-sock /tmp/fc-7.socket", "fc-7", "" },
		{ "firecracker --id anonymous-instance --api-sock /tmp/fc-7.socket", "fc-7", "" },
		{ "firecracker --api-sock /run/firecracker.socket", "", "" },
		{ "firecracker --no-api -- --id x", "", "" },
		{ "firecracker --id", "", "" },
		{ "cloud-hypervisor --api-socket /run/ch/web.sock", "web", "" },
		{ "cloud-hypervisor --api-socket path=/run/ch/web.sock", "web", "" },
		{ "cloud-hypervisor --api-socket=/run/ch/web", "web", "" },
		{ "cloud-hypervisor --api-socket fd=3", "", "" },
		{ "cloud-hypervisor --api-socket /run/vc/vm/8c1a/clh-api.sock", "8c1a", "" },
		{ "cloud-hypervisor --api-socket /tmp/cloud-hypervisor.sock", "", "" },
		{ "cloud-hypervisor --api-socket api.sock", "", "" },
		{ "cloud-hypervisor --api-socket /", "", "" },
		{ "cloud-hypervisor --platform serial_number=1,uuid=" UUID_A, "", UUID_A },
		{ "crosvm run -s /run/crosvm/web.sock vmlinux", "web", "" },
		{ "crosvm run --socket=/run/crosvm/a.sock --name web", "web", "" },
		{ "lkvm run --name web -m 64", "web", "" },
		{ "lkvm run -n web", "web", "" },
		{ "python3 --id web -name web -uuid " UUID_A, "", "" },
	};

	for (size_t i = 0; i < ELEMENTSOF(table); i++) {
		struct vmm_claims c = claims_of(table[i].line);

		print_message("%s\n", table[i].line);
		assert_string_equal(c.name, table[i].name);
		assert_string_equal(c.uuid, table[i].uuid);
	}
}

static void test_bounds(void **state)
{
	char line[VMM_NAME_MAX + 32] = "kvm -name ";
	struct vmm_args args = { .text = "kvm\0-name\0web", .size = 13 };
	struct vmm_claims c;

	memset(line + strlen("kvm -name "), 'x', VMM_NAME_MAX);
	assert_int_equal(strlen(claims_of(line).name), VMM_NAME_MAX);
	/* A name that is cut could be that of another VM. */
	line[strlen(line)] = 'y';
	assert_string_equal(claims_of(line).name, "");
	/* No last NUL: nothing after the end is read. */
	vmm_claims_read(VMM_QEMU, &args, &c);
	assert_string_equal(c.name, "");
	args.size = 0;
	vmm_claims_read(VMM_QEMU, &args, &c);
	assert_string_equal(c.name, "");
	args.text = NULL;
	vmm_claims_read(VMM_QEMU, &args, &c);
	assert_string_equal(c.name, "");
}

static void test_cgroup(void **state)
{
	char path[64];

	assert_int_equal(identity_cgroup("0::/qemu.slice/101.scope\n", path, sizeof(path)), 0);
	assert_string_equal(path, "/qemu.slice/101.scope");
	assert_int_equal(identity_cgroup("1:name=systemd:/system.slice/x\n0::/b\n"
					 "12:pids,memory:/machine/vdesk\n5:freezer:/f\n",
					 path, sizeof(path)),
			 0);
	assert_string_equal(path, "/machine/vdesk");
	assert_int_equal(identity_cgroup("3:cpu:/a\n1:name=systemd:/s\n", path, sizeof(path)), 0);
	assert_string_equal(path, "/s");
	assert_int_equal(identity_cgroup("3:cpu:/a\n", path, sizeof(path)), -ENOENT);
	assert_int_equal(identity_cgroup("", path, sizeof(path)), -ENOENT);
	assert_int_equal(identity_cgroup("nonsense", path, sizeof(path)), -ENOENT);
	assert_int_equal(identity_cgroup("0::/a/../../b\n", path, sizeof(path)), -EBADMSG);
	assert_int_equal(identity_cgroup("0::/0123456789012345678901234567890123456789012345678901"
					 "23456789012\n",
					 path, sizeof(path)),
			 -EBADMSG);
}

static void test_pod_uid(void **state)
{
	static const struct {
		const char *cgroup, *uid;
	} table[] = {
		{ POD_CGROUP, POD_UID },
		{ "/kubepods/burstable/pod" POD_UID "/abc", POD_UID },
		{ "/kubepods/pod" POD_UID, POD_UID },
		{ "/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-pod3f0a1b2c_0d0e_4f00_"
		  "8a00_1234567890ab.slice",
		  POD_UID },
		/* A pod from a file, which kubelet names by a hash. */
		{ "/kubepods/pod0123456789abcdef0123456789abcdef/x",
		  "0123456789abcdef0123456789abcdef" },
		{ "/user.slice/user-1000.slice/kubepods/pod" POD_UID, NULL },
		{ "/lxc.payload.a/kubepods/pod" POD_UID, NULL },
		{ "/kubepods/pod" POD_UID "0", NULL },
		{ "/kubepods/podx", NULL },
		{ "/kubepods", NULL },
		{ "/", NULL },
		{ "", NULL },
	};

	for (size_t i = 0; i < ELEMENTSOF(table); i++) {
		char uid[64] = "";
		int r = identity_pod_uid(table[i].cgroup, uid, sizeof(uid));

		print_message("%s\n", table[i].cgroup);
		assert_int_equal(r, table[i].uid ? 0 : -ENOENT);
		assert_string_equal(uid, table[i].uid ?: "");
	}
}

static void test_scope(void **state)
{
	struct identity i;

	i = make("kvm -name web -uuid " UUID_A, "/system.slice/x.service", 1000);
	assert_string_equal(i.scope, "user:1000");
	assert_string_equal(i.name, "web");
	assert_false(i.id_is_fact);
	assert_int_equal(i.keeper, KEEPER_NONE);
	assert_string_not_equal(make("kvm -name web", "/", 0).scope, i.scope);

	i = make("kvm -name web", "/qemu.slice/101.scope", 0);
	assert_string_equal(i.scope, "proxmox:101");
	assert_string_equal(i.id, "101");
	assert_true(i.id_is_fact);
	assert_int_equal(i.keeper, KEEPER_PROXMOX);
	assert_string_equal(make("kvm", "/qemu.slice/101.scope", 0).name, "101");
	/* A number that is only claimed, and groups that look similar, are no Proxmox. */
	assert_string_equal(make("kvm -id 101", "/", 1000).scope, "user:1000");
	assert_string_equal(make("kvm", "/a/qemu.slice/101.scope", 7).scope, "user:7");
	assert_string_equal(make("kvm", "/qemu.slice/101x.scope", 7).scope, "user:7");

	i = make("firecracker --id web", "/firecracker/web", 123);
	assert_string_equal(i.scope, "cgroup:/firecracker");
	assert_string_equal(i.id, "web");
	assert_true(i.id_is_fact);
	assert_string_equal(make("firecracker --id web", "/web", 123).scope, "user:123");
	assert_string_equal(make("firecracker --id web", "/firecracker/other", 123).scope,
			    "user:123");
	/* A user can make groups of any name below his own. */
	i = make("firecracker --id web", "/user.slice/user-9.slice/firecracker/web", 9);
	assert_string_equal(i.scope, "user:9");

	assert_string_equal(make("kvm -name web", "", -1).scope, "");
	assert_false(identity_lasts(&(struct identity){ .name = "x" }));
	i = make("kvm", "", 1000);
	assert_false(identity_lasts(&i));
}

static struct identity make_pod(const char *line, const char *namespace, const char *pod)
{
	struct identity_facts f = { .args = args_of(line),
				    .cgroup = POD_CGROUP,
				    .uid = 107,
				    .proxmox_id = "",
				    .pod_namespace = namespace,
				    .pod_name = pod };
	struct identity i;

	identity_make(&f, &i);
	assert_int_equal(i.keeper, KEEPER_KUBERNETES);
	assert_string_equal(i.id, POD_UID);
	assert_true(i.id_is_fact);
	return i;
}

static void test_pods(void **state)
{
	struct identity i;

	i = make_pod("qemu-kvm -name guest=default_vm-a", "default", "virt-launcher-vm-a-x");
	assert_string_equal(i.name, "default/vm-a");
	assert_string_equal(i.scope, "pod:default");
	/* The namespace is a fact, also if the VM claims another one. */
	i = make_pod("qemu-kvm -name guest=default_vm-a", "evil", "x");
	assert_string_equal(i.name, "evil/default_vm-a");
	assert_string_equal(i.scope, "pod:evil");
	i = make_pod("qemu-kvm -name default/vm-a", "evil", "x");
	assert_string_equal(i.name, "evil/default-vm-a");
	assert_string_equal(make_pod("qemu-kvm", "default", "kata-1").name, "default/kata-1");
	assert_string_equal(make_pod("kvm -name default_", "default", "x").name,
			    "default/default_");
	/* kubelet's folder was not found. */
	i = make_pod("qemu-kvm", "", "");
	assert_string_equal(i.name, "pod-" POD_UID);
	assert_string_equal(i.scope, "pod:" POD_UID);
	assert_string_equal(make_pod("kvm -name a", "", "").name, "a");
}

static void test_hostile_names(void **state)
{
	assert_string_equal(make("kvm -name \033[2Jx\n\xff", "", 1).name, "?[2Jx??");
	assert_string_equal(make("kvm -name default/vm", "", 1).name, "default-vm");
	/* Names that apfd itself makes. */
	assert_string_equal(make("kvm -name pid-kvm-1", "", 1).name, "");
	assert_string_equal(make("kvm -name pod-" POD_UID, "", 1).name, "");
	assert_string_equal(make("firecracker --id a\x80", "", 1).id, "a?");
}

static void test_uuid(void **state)
{
	struct identity i = make("kvm -name web -uuid " UUID_A, "", 1), other = i;
	char uuid[UUID_LEN + 1], again[UUID_LEN + 1];

	assert_int_equal(identity_uuid(&i, uuid), 0);
	assert_string_equal(uuid, UUID_A);
	i.uuid[0] = '\0';
	assert_int_equal(identity_uuid(&i, uuid), 0);
	assert_int_equal(uuid_parse(uuid, again), 0);
	assert_string_equal(uuid, again);
	/* Lasts, and depends on scope and name. */
	assert_int_equal(identity_uuid(&i, again), 0);
	assert_string_equal(uuid, again);
	other = i;
	strcpy(other.name, "wec");
	assert_int_equal(identity_uuid(&other, again), 0);
	assert_string_not_equal(uuid, again);
	other = i;
	strcpy(other.scope, "user:2");
	assert_int_equal(identity_uuid(&other, again), 0);
	assert_string_not_equal(uuid, again);
	other.name[0] = '\0';
	assert_int_equal(identity_uuid(&other, again), -ENOENT);
}

/* ---- files ---- */

enum { PID = 32969 };

static int setup(void **state)
{
	fixture_begin();
	return 0;
}

static int teardown(void **state)
{
	return fixture_end();
}

static struct identity load(const char *line)
{
	const struct identity_roots roots = { .proc_root = fixture_path("proc"),
					      .run_root = fixture_path("run"),
					      .pods_dir = fixture_path("pods") };
	struct vmm_args args = args_of(line);
	struct identity i;

	identity_load(&roots, PID, &args, &i);
	return i;
}

static void test_load_proxmox(void **state)
{
	const char *line = "/usr/bin/kvm -id 101 -name web-01,debug-threads=on -no-shutdown "
			   "-smbios type=1,uuid=" UUID_A;
	struct identity i;

	fixture_link("proc/32969/exe", "/usr/bin/qemu-system-x86_64");
	fixture_file("proc/32969/cgroup", "0::/qemu.slice/101.scope\n");
	fixture_file("proc/32969/status", "Name:\tkvm\nUid:\t0\t0\t0\t0\nVmSwap:\t1 kB\n");
	fixture_file("run/qemu-server/101.pid", "32969\n");
	i = load(line);
	assert_string_equal(i.name, "web-01");
	assert_string_equal(i.uuid, UUID_A);
	assert_string_equal(i.scope, "proxmox:101");
	assert_int_equal(i.vmm, VMM_QEMU);

	/* By the PID file alone, as on a host with control groups of version 1. */
	fixture_file("proc/32969/cgroup", "0::/\n");
	assert_string_equal(load(line).scope, "proxmox:101");
	/* The PID file of another process, or of another user's process. */
	fixture_file("run/qemu-server/101.pid", "32970\n");
	assert_string_equal(load(line).scope, "user:0");
	fixture_file("run/qemu-server/101.pid", "32969\n");
	fixture_file("proc/32969/status", "Uid:\t1000\t0\t0\t0\n");
	assert_string_equal(load(line).scope, "user:1000");
	assert_string_equal(load("kvm -id ../101").scope, "user:1000");
}

static void test_load_pod(void **state)
{
	fixture_link("proc/32969/exe", "/usr/libexec/qemu-kvm (deleted)");
	fixture_file("proc/32969/cgroup", "0::" POD_CGROUP "\n");
	fixture_file("pods/kube-system_other_00000000-0000-4000-8000-000000000000/x", "");
	fixture_file("pods/team-1_virt-launcher-vm-a-x_" POD_UID "/x", "");
	fixture_file("pods/nonsense", "");
	assert_string_equal(load("qemu-kvm -name guest=team-1_vm-a").name, "team-1/vm-a");
	assert_string_equal(load("qemu-kvm").name, "team-1/virt-launcher-vm-a-x");
	fixture_remove("pods");
	assert_string_equal(load("qemu-kvm").name, "pod-" POD_UID);
}

static void test_load_nothing(void **state)
{
	struct identity i = load("kvm -name web");

	assert_string_equal(i.name, "web");
	assert_string_equal(i.scope, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_vmm),
		cmocka_unit_test(test_qemu),
		cmocka_unit_test(test_others),
		cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_cgroup),
		cmocka_unit_test(test_pod_uid),
		cmocka_unit_test(test_scope),
		cmocka_unit_test(test_pods),
		cmocka_unit_test(test_hostile_names),
		cmocka_unit_test(test_uuid),
		cmocka_unit_test_setup_teardown(test_load_proxmox, setup, teardown),
		cmocka_unit_test_setup_teardown(test_load_pod, setup, teardown),
		cmocka_unit_test_setup_teardown(test_load_nothing, setup, teardown),
	};

	return cmocka_run_group_tests_name("identity", tests, NULL, NULL);
}
