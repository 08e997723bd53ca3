/* SPDX-License-Identifier: BSD-3-Clause */
/** Memory that runs out: link the test with --wrap=calloc and --wrap=aligned_alloc. */
#ifndef VIRTIOFS_TESTS_SUPPORT_FAIL_ALLOC_H
#define VIRTIOFS_TESTS_SUPPORT_FAIL_ALLOC_H

/** The next @count allocations succeed and all that follow fail, until it is told again; below 0: none fails. */
void fail_alloc_after(int count);

#endif
