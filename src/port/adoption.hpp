// SPDX-License-Identifier: Apache-2.0

// Taking up a port whose owner is known to be dead.
#pragma once

#include <string>

#include <portolan/message_port.hpp>

#include "port/parcel.hpp"

namespace portolan::port {

/// The parcel's expected generation is the one that its owner had. Throws DataCloneError if it is no port or
/// has another owner, PortError if the kernel refuses.
[[nodiscard]] MessagePort recover_parcel(Parcel parcel, const std::string& call);

}  // namespace portolan::port
