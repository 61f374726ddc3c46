// SPDX-License-Identifier: Apache-2.0

// In a source of its own: what is inlined into one operation depends on what else is compiled with it.
#pragma once

void send_and_receive(long count);
