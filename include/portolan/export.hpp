// SPDX-License-Identifier: Apache-2.0

// Symbol visibility and lifetime annotations. The library is built with hidden visibility; what carries
// PORTOLAN_API is its ABI and nothing else is.
#pragma once

#define PORTOLAN_API __attribute__((visibility("default")))

#if defined(__clang__)
#define PORTOLAN_LIFETIMEBOUND [[clang::lifetimebound]]
#else
#define PORTOLAN_LIFETIMEBOUND
#endif
