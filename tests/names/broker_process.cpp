// SPDX-License-Identifier: Apache-2.0

#include "names/broker_process.hpp"

#include <chrono>
#include <string_view>

#include <portolan/port.hpp>

namespace portolan::testing {

bool BrokerProcess::answers() {
  try {
    static_cast<void>(connect("answers", std::chrono::nanoseconds(0)));
  } catch (const PortError& error) {
    return std::string_view(error.what()).find("nobody has registered it") != std::string_view::npos;
  }
  return false;
}

}  // namespace portolan::testing
