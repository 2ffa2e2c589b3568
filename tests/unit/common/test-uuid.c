/* SPDX-License-Identifier: GPL-2.0 */
#include "unit.h"

#include <errno.h>
#include <string.h>

#include "uuid.h"

#define UUID "6695eb01-f6a4-8304-79aa-97f2502e193f"
#define PATH "/org/apfd/vm/6695eb01_f6a4_8304_79aa_97f2502e193f"

static void test_parse_uuid(void **state)
{
	char uuid[UUID_LEN + 1] = "untouched";

	assert_int_equal(uuid_parse("6695EB01-F6a4-8304-79AA-97f2502e193F", uuid), 0);
	assert_string_equal(uuid, UUID);

	strcpy(uuid, "untouched");
	assert_int_equal(uuid_parse("", uuid), -EINVAL);
	assert_int_equal(uuid_parse("6695eb01-f6a4-8304-79aa-97f2502e193", uuid), -EINVAL);
	assert_int_equal(uuid_parse(UUID "0", uuid), -EINVAL);
	assert_int_equal(uuid_parse("6695eb01-f6a4-8304-79aa-97f2502e193g", uuid), -EINVAL);
	assert_int_equal(uuid_parse("6695eb01f6a4-8304-79aa-97f2502e193f0", uuid), -EINVAL);
	assert_string_equal(uuid, "untouched");
}

static void test_paths(void **state)
{
	char path[UUID_PATH_LEN + 1], uuid[UUID_LEN + 1];

	uuid_to_path(UUID, path);
	assert_string_equal(path, PATH);
	assert_int_equal(uuid_from_path(path, uuid), 0);
	assert_string_equal(uuid, UUID);

	assert_int_equal(uuid_from_path("/org/apfd/vm", uuid), -EINVAL);
	assert_int_equal(uuid_from_path("/org/apfd/vm/", uuid), -EINVAL);
	assert_int_equal(uuid_from_path(PATH "/x", uuid), -EINVAL);
	/* One VM must not have two paths. */
	assert_int_equal(uuid_from_path("/org/apfd/vm/6695EB01_f6a4_8304_79aa_97f2502e193f", uuid),
			 -EINVAL);
	assert_int_equal(uuid_from_path("/org/apfd/vm/6695eb01-f6a4-8304-79aa-97f2502e193f", uuid),
			 -EINVAL);
	assert_int_equal(uuid_from_path("/org/apfx/vm/6695eb01_f6a4_8304_79aa_97f2502e193f", uuid),
			 -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse_uuid),
		cmocka_unit_test(test_paths),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
