/* SPDX-License-Identifier: GPL-2.0 */
/* What the doctor says of the memory of made-up VMs, and of its limits. */
#include "doctor-fixture.h"

static void test_memory(void **state)
{
	struct domain_xml live = {};

	set_status(100000, 0, 0, 0, 524288);
	assert_non_null(strstr(look(CHECK_HUGE_PAGES, DIAG_FAIL, "512 MiB")->remedy,
			       "\n  <memoryBacking><hugepages/></memoryBacking>"));
	set_status(600000, 0, 0, 0, 524288);
	look(CHECK_HUGE_PAGES, DIAG_WARN, "512 MiB");

	/* A little is locked by many. */
	set_status(600000, 0, 4096, 0, 0);
	look(CHECK_LOCKED, DIAG_OK, "");
	set_status(600000, 0, 102400, 0, 0);
	look(CHECK_LOCKED, DIAG_WARN, "100 MiB");
	set_status(600000, 0, 524288, 0, 0);
	look(CHECK_LOCKED, DIAG_FAIL, "512 MiB");
	set_status(600000, 0, 0, 524288, 0);
	look(CHECK_LOCKED, DIAG_FAIL, "512 MiB");
	set_status(600000, 0, 0, 0, 0);
	live.locked = true;
	vm.live = &live;
	assert_non_null(strstr(look(CHECK_LOCKED, DIAG_FAIL, "")->remedy, "<locked/>"));

	live = (struct domain_xml){};
	look(CHECK_VFIO, DIAG_OK, "");
	fixture_link("proc/4711/fd/7", "/dev/vfio/vfio");
	look(CHECK_VFIO, DIAG_OK, "");
	fixture_link("proc/4711/fd/8", "anon_inode:[vfio-device]");
	look(CHECK_VFIO, DIAG_FAIL, "1 of the host's devices");
	live.hostdevs = 3;
	look(CHECK_VFIO, DIAG_FAIL, "3 of the host's devices");
}

static void test_swap_limit(void **state)
{
	fixture_file("sys/fs/cgroup/machine.slice/web1.scope/libvirt/memory.max", "209715200\n");
	look(CHECK_SWAP_LIMIT, DIAG_OK, "may swap (its memory is limited to 200 MiB)");
	fixture_file("sys/fs/cgroup/machine.slice/web1.scope/memory.swap.max", "1073741824\n");
	look(CHECK_SWAP_LIMIT, DIAG_OK, "1024 MiB in swap");
	/* One above counts as well. */
	fixture_file("sys/fs/cgroup/machine.slice/memory.swap.max", "0\n");
	has(look(CHECK_SWAP_LIMIT, DIAG_FAIL, "memory.swap.max is 0 in /machine.slice"),
	    "\n  systemctl set-property machine.slice MemorySwapMax=infinity");
	fixture_file("proc/4711/cgroup", "0::/machine.slice/machine-qemu\\x2d1\\x2da.scope/x\n");
	fixture_file("sys/fs/cgroup/machine.slice/machine-qemu\\x2d1\\x2da.scope/memory.swap.max",
		     "0\n");
	has(find(CHECK_SWAP_LIMIT), "\n  systemctl set-property --runtime "
				    "'machine-qemu\\x2d1\\x2da.scope' MemorySwapMax=infinity");
	/* Whoever made the group chose its name; a shell must take it for a word. */
	fixture_file("proc/4711/cgroup", "0::/x';touch y;'\n");
	fixture_file("sys/fs/cgroup/x';touch y;'/memory.swap.max", "0\n");
	assert_non_null(
		strstr(find(CHECK_SWAP_LIMIT)->remedy,
		       "\n  echo max > '/sys/fs/cgroup/x'\\'';touch y;'\\''/memory.swap.max'"));
	fixture_file("proc/4711/cgroup", "0::/../../elsewhere\n");
	assert_null(find(CHECK_SWAP_LIMIT));
	fixture_file("proc/4711/cgroup", "1:cpu:/x\n");
	assert_null(find(CHECK_SWAP_LIMIT));
}

#define V1 "sys/fs/cgroup/memory/machine/web1.libvirt-qemu/memory."

/* Version 1 and both together: the line of version 2 names a group without limits. */
static void test_swap_limit_v1(void **state)
{
	struct domain_xml live = {};

	fixture_file("proc/4711/cgroup", "11:cpuset,memory:/machine/web1.libvirt-qemu\n"
					 "3:cpu:/machine/web1.libvirt-qemu/emulator\n"
					 "0::/system.slice/libvirtd.service\n");
	look(CHECK_SWAP_LIMIT, DIAG_UNKNOWN, "accounted by cgroup v1");
	fixture_file(V1 "limit_in_bytes", "1073741824\n");
	look(CHECK_SWAP_LIMIT, DIAG_UNKNOWN, "accounted by cgroup v1");
	fixture_file(V1 "memsw.limit_in_bytes", "1073741824\n");
	has(look(CHECK_SWAP_LIMIT, DIAG_FAIL, "may not swap: memory.memsw.limit_in_bytes"),
	    "\n  echo -1 > '/sys/fs/cgroup/memory/machine/web1.libvirt-qemu/"
	    "memory.memsw.limit_in_bytes'");
	live.swap_limited = true;
	vm.live = &live;
	has(find(CHECK_SWAP_LIMIT), "\n  virsh memtune web1 --swap-hard-limit -1");
	fixture_file(V1 "memsw.limit_in_bytes", "2147483648\n");
	look(CHECK_SWAP_LIMIT, DIAG_OK, "2048 MiB in memory and swap together");
	fixture_file(V1 "swappiness", "0\n");
	look(CHECK_SWAP_LIMIT, DIAG_FAIL, "memory.swappiness is 0");
	fixture_file(V1 "swappiness", "60\n");
	fixture_file(V1 "memsw.limit_in_bytes", "9223372036854771712\n");
	look(CHECK_SWAP_LIMIT, DIAG_UNKNOWN, "swapaccount=1");
	/* A limit above counts as well. */
	fixture_file("sys/fs/cgroup/memory/machine/memory.memsw.limit_in_bytes", "1048576\n");
	look(CHECK_SWAP_LIMIT, DIAG_FAIL, "in /machine");
}

#define BURSTABLE                                                                      \
	"/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod3f0a1b2c_0d0e" \
	"_4f00_8a00_1234567890ab.slice/crio-1.scope/c"
#define GUARANTEED "/kubepods/pod3f0a1b2c-0d0e-4f00-8a00-1234567890ab/1"

static void test_kubelet_forbids_swap(void **state)
{
	foreign = true;
	fixture_file("proc/4711/cgroup", "0::" BURSTABLE "/x\n");
	fixture_file("sys/fs/cgroup" BURSTABLE "/memory.swap.max", "0\n");
	has(look(CHECK_SWAP_LIMIT, DIAG_FAIL, "may not swap"), "\n    swapBehavior: LimitedSwap");
	assert_null(strstr(find(CHECK_SWAP_LIMIT)->remedy, "echo max"));
	assert_null(strstr(find(CHECK_SWAP_LIMIT)->remedy, "make the pod Burstable"));
	fixture_file("proc/4711/cgroup", "0::" GUARANTEED "\n");
	fixture_file("sys/fs/cgroup" GUARANTEED "/memory.swap.max", "0\n");
	has(find(CHECK_SWAP_LIMIT), "make the pod Burstable");
	/* Elsewhere. */
	set_args("firecracker --id a");
	fixture_file("proc/4711/cgroup", "0::/firecracker/a\n");
	fixture_file("sys/fs/cgroup/firecracker/a/memory.swap.max", "0\n");
	has(find(CHECK_SWAP_LIMIT), "jailer");
	has(find(CHECK_SWAP_LIMIT),
	    "\n  echo max > '/sys/fs/cgroup/firecracker/a/memory.swap.max'");
}

static void test_psi_trigger(void **state)
{
	look(CHECK_PSI_TRIGGER, DIAG_OK, "no cgroup is only this VM's");
	vm.psi_group = "/qemu.slice/101.scope";
	look(CHECK_PSI_TRIGGER, DIAG_OK, "not needed");
	vm.psi_error = -EOPNOTSUPP;
	look(CHECK_PSI_TRIGGER, DIAG_OK, "see psi of the host");
	vm.psi_error = -EPERM;
	look(CHECK_PSI_TRIGGER, DIAG_OK, "may not write to memory.pressure in /qemu.slice/101");
	vm.psi_error = -ENOMEM;
	assert_string_equal(look(CHECK_PSI_TRIGGER, DIAG_WARN, "Cannot allocate memory")->remedy,
			    "");
	vm.psi_error = -EROFS;
	has(look(CHECK_PSI_TRIGGER, DIAG_WARN, "in /qemu.slice/101.scope: Read-only file system"),
	    "\n  ProtectControlGroups=no\n");
	vm.psi_armed = true;
	look(CHECK_PSI_TRIGGER, DIAG_OK, "notifies apfd when the VM waits");
}

static void test_libvirt_limits_swap(void **state)
{
	struct domain_xml live = { .swap_limited = true };

	vm.live = &live;
	fixture_file("sys/fs/cgroup/machine.slice/web1.scope/memory.swap.max", "0\n");
	has(look(CHECK_SWAP_LIMIT, DIAG_FAIL, ""),
	    "\n  virsh memtune web1 --swap-hard-limit -1 --live\n");
}

static void test_devices_without_vfio(void **state)
{
	struct domain_xml live = { .vdpas = 1, .nvmes = 2 };

	vm.live = &live;
	look(CHECK_VFIO, DIAG_FAIL, "it has 1 vDPA device, 2 NVMe disks driven by QEMU,");
	has(find(CHECK_VFIO), "\n  <disk type='block'");
	vm.live = NULL;
	fixture_link("proc/4711/fd/40", "/dev/vhost-vdpa-3");
	look(CHECK_VFIO, DIAG_FAIL, "1 vDPA device, which");
	fixture_remove("proc/4711/fd/40");
	set_args("qemu-kvm -cpu host -netdev {\"type\":\"vhost-vdpa\",\"id\":\"n\"}");
	look(CHECK_VFIO, DIAG_FAIL, "1 vDPA device");
	set_args("qemu-kvm -cpu host -blockdev driver=nvme,device=0000:3b:00.0,namespace=1");
	look(CHECK_VFIO, DIAG_FAIL, "1 NVMe disk");
	/* QEMU's own driver uses VFIO, and is one device. */
	fixture_link("proc/4711/fd/8", "anon_inode:[vfio-device]");
	look(CHECK_VFIO, DIAG_FAIL, "it has 1 NVMe disk driven by QEMU, which");
	set_args("qemu-kvm -cpu host");
	look(CHECK_VFIO, DIAG_FAIL, "1 of the host's devices");
	/* A mediated device pins what it uses. */
	set_args("qemu-kvm -device vfio-pci,sysfsdev=/sys/bus/mdev/devices/1b2c");
	look(CHECK_VFIO, DIAG_WARN, "1 mediated device (mdev)");
	live = (struct domain_xml){ .mdevs = 1 };
	vm.live = &live;
	look(CHECK_VFIO, DIAG_WARN, "1 mediated device (mdev)");
}

static void test_who_locks(void **state)
{
	set_status(600000, 0, 524288, 0, 0);
	fixture_file("proc/4711/limits",
		     "Limit Soft Hard\nMax locked memory  1073741824  unlimited "
		     "bytes\n");
	has(look(CHECK_LOCKED, DIAG_FAIL, "512 MiB"), "RLIMIT_MEMLOCK (1024 MiB)");
	has(find(CHECK_LOCKED), "\n  LimitMEMLOCK=64M");
	fixture_file("proc/4711/limits", "Max locked memory  unlimited  unlimited  bytes\n");
	has(find(CHECK_LOCKED), "RLIMIT_MEMLOCK (unlimited)");
	foreign = true;
	set_args("qemu-kvm -cpu host -overcommit mem-lock=on");
	has(find(CHECK_LOCKED), "\n  -overcommit mem-lock=on");
	set_args("qemu-kvm -cpu host");
	fixture_link("proc/4711/fd/8", "anon_inode:[vfio-device]");
	has(find(CHECK_LOCKED), "see vfio");
}

static void test_shared_memory(void **state)
{
	struct domain_xml live = { .memory_source = "memfd", .shared = true, .virtiofs = true };

	look(CHECK_SHARED, DIAG_OK, "not shared");
	add_status("RssShmem:\t4000000 kB\nVmSwap:\t0 kB\n");
	look(CHECK_SHARED, DIAG_FAIL, "hardly any fault is asynchronous");
	assert_null(strstr(find(CHECK_SHARED)->fact, "virtiofs"));
	fixture_file("sys/fs/cgroup/machine.slice/web1.scope/memory.swap.current", "3145728000\n");
	look(CHECK_SHARED, DIAG_FAIL, "3000 MiB on swap, which VmSwap does not show");
	/* Swapped out altogether: the settings tell. */
	add_status("RssShmem:\t0 kB\nVmSwap:\t0 kB\n");
	look(CHECK_SHARED, DIAG_OK, "");
	vm.live = &live;
	has(look(CHECK_SHARED, DIAG_FAIL, "virtiofs and vhost-user need: that is their price"),
	    "\n  <memoryBacking><source type='memfd'/><access mode='shared'/></memoryBacking>");
	vm.live = NULL;
	set_args("qemu-kvm -object {\"qom-type\":\"memory-backend-memfd\",\"share\":true}");
	look(CHECK_SHARED, DIAG_FAIL, "is shared");
	set_args("qemu-kvm -object memory-backend-ram,id=m,share=on,size=1G");
	look(CHECK_SHARED, DIAG_FAIL, "is shared");
	set_args("cloud-hypervisor --memory size=1G,shared=on --fs tag=x");
	look(CHECK_SHARED, DIAG_FAIL, "virtiofs");
	set_args("cloud-hypervisor --memory size=1G,shared=off");
	look(CHECK_SHARED, DIAG_OK, "");
	set_args("qemu-kvm -mem-path /dev/shm/vm1");
	look(CHECK_SHARED, DIAG_FAIL, "is shared");
	look(CHECK_FILE_MEMORY, DIAG_OK, "");
	/* Nobody waits for huge pages: they are never swapped. */
	set_args("qemu-kvm -object memory-backend-file,mem-path=/run/hugepages/1G,share=on");
	look(CHECK_SHARED, DIAG_OK, "");
	look(CHECK_FILE_MEMORY, DIAG_OK, "");
	set_args("qemu-kvm -object memory-backend-memfd,hugetlb=on,share=on");
	look(CHECK_SHARED, DIAG_OK, "");
	/* Something else that is shared. */
	set_args("qemu-kvm -device ivshmem-plain,share=on");
	look(CHECK_SHARED, DIAG_OK, "");
}

static void test_memory_in_a_file(void **state)
{
	struct domain_xml live = { .memory_source = "file", .shared = true };

	look(CHECK_FILE_MEMORY, DIAG_OK, "not in a file");
	set_args("qemu-kvm -object memory-backend-file,id=m,mem-path=/var/vm1,share=on");
	has(look(CHECK_FILE_MEMORY, DIAG_WARN, "on a device /var/vm1: its pages are read from"),
	    "<source type='anonymous'/>");
	look(CHECK_SHARED, DIAG_OK, "");
	set_args("qemu-kvm -object {\"qom-type\":\"memory-backend-file\",\"mem-path\":\"/v\"}");
	look(CHECK_FILE_MEMORY, DIAG_WARN, "device /v:");
	set_args("qemu-kvm -mem-path /dev/hugepages/libvirt");
	look(CHECK_FILE_MEMORY, DIAG_OK, "");
	set_args("cloud-hypervisor --memory-zone id=a,size=1G,file=/dev/dax0.0");
	look(CHECK_FILE_MEMORY, DIAG_WARN, "/dev/dax0.0");
	/* By what is resident: no option of Firecracker tells. */
	set_args("firecracker --id a");
	add_status("RssFile:\t3000000 kB\n");
	foreign = true;
	has(look(CHECK_FILE_MEMORY, DIAG_WARN, "not from swap"), "snapshot");
	add_status("RssFile:\t100000 kB\n");
	look(CHECK_FILE_MEMORY, DIAG_OK, "");
	vm.live = &live;
	look(CHECK_FILE_MEMORY, DIAG_WARN, "not from swap");
	look(CHECK_SHARED, DIAG_OK, "");
}

static void test_uffd(void **state)
{
	look(CHECK_UFFD, DIAG_OK, "");
	fixture_link("proc/4711/fd/30", "anon_inode:[userfaultfd]");
	has(look(CHECK_UFFD, DIAG_WARN, "(userfaultfd)"), "snapshot");
}

static void test_numa(void **state)
{
	struct domain_xml live = { .nodes = "1" };

	look(CHECK_NUMA, DIAG_OK, "all NUMA nodes");
	add_status("VmSwap:\t0 kB\nMems_allowed_list:\t1\n");
	look(CHECK_NUMA, DIAG_OK, "bound to NUMA node 1, of which 50 % are available");
	set_node(1, 1000000, 20000);
	has(look(CHECK_NUMA, DIAG_WARN,
		 "node 1, of which 2 % are available, while other nodes have "
		 "50 %"),
	    "<memory mode='preferred'");
	/* Page cache is dropped before anything is swapped. */
	fixture_file("sys/devices/system/node/node1/meminfo",
		     "Node 1 MemTotal: 1000000 kB\nNode 1 MemFree: 20000 kB\n"
		     "Node 1 Inactive(file): 300000 kB\n");
	look(CHECK_NUMA, DIAG_OK, "32 %");
	set_node(1, 1000000, 20000);
	/* The whole host is full. */
	set_node(0, 1000000, 100000);
	look(CHECK_NUMA, DIAG_OK, "2 %");
	set_node(0, 1000000, 500000);
	/* Bound by XML, and by an option. */
	add_status("VmSwap:\t0 kB\nMems_allowed_list:\t0-1\n");
	look(CHECK_NUMA, DIAG_OK, "all NUMA nodes");
	vm.live = &live;
	look(CHECK_NUMA, DIAG_WARN, "node 1,");
	vm.live = NULL;
	set_args("qemu-kvm -object memory-backend-ram,host-nodes=1,policy=preferred");
	look(CHECK_NUMA, DIAG_OK, "all NUMA nodes");
	set_args("qemu-kvm -object memory-backend-ram,host-nodes=1,policy=bind");
	look(CHECK_NUMA, DIAG_WARN, "node 1,");
	set_args("qemu-kvm -object {\"host-nodes\":[1],\"policy\":\"bind\"}");
	look(CHECK_NUMA, DIAG_WARN, "node 1,");
	/* Bound to more than one. */
	set_args("qemu-kvm -object {\"host-nodes\":[1,0],\"policy\":\"bind\"}");
	look(CHECK_NUMA, DIAG_OK, "all NUMA nodes");
	set_args("qemu-kvm -object memory-backend-ram,host-nodes=1,host-nodes=0,policy=bind");
	look(CHECK_NUMA, DIAG_OK, "all NUMA nodes");
	/* What is no list of nodes says nothing. */
	add_status("VmSwap:\t0 kB\nMems_allowed_list:\tx,99999999999999999999-\n");
	set_args("qemu-kvm");
	assert_null(find(CHECK_NUMA));
	fixture_remove("sys/devices/system/node");
	assert_null(find(CHECK_NUMA));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_memory),
		TEST(test_swap_limit),
		TEST(test_swap_limit_v1),
		TEST(test_kubelet_forbids_swap),
		TEST(test_psi_trigger),
		TEST(test_libvirt_limits_swap),
		TEST(test_devices_without_vfio),
		TEST(test_who_locks),
		TEST(test_shared_memory),
		TEST(test_memory_in_a_file),
		TEST(test_uffd),
		TEST(test_numa),
	};

	return cmocka_run_group_tests_name("doctor-memory", tests, NULL, NULL);
}
