/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DAEMON_ISA_H
#define DAEMON_ISA_H

#include "config/config.h"
#include "kernels/cpu.h"

/* The flags kernels may use under daemon.isa. False with `why` when this CPU lacks it. */
bool isa_choose(enum isa_choice choice, unsigned *ret_cpu, char why[400]);

#endif
