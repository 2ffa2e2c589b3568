// SPDX-License-Identifier: GPL-2.0
/* The data that the other files share: the table, and one struct for each CPU. */
#include "guest.h"

DEFINE_PER_CPU(struct apf_vcpu, apf_vcpu);
struct apf_table apf_table;
