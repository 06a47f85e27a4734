/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/defects.h"
struct reduce_plan; struct reduce_job;
void reduce_defects(const struct reduce_plan *p, void *scratch, const struct reduce_job *job, struct defects *ret);
void reduce_defects(const struct reduce_plan *p, void *scratch, const struct reduce_job *job, struct defects *ret)
{ (void)p; (void)scratch; (void)job; ret->dead_count = ret->hot_count = 0; }
