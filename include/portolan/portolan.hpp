// SPDX-License-Identifier: Apache-2.0

// All of Portolan but the opt-in adapters.
#pragma once

#include <portolan/port.hpp>
#include <portolan/values.hpp>
