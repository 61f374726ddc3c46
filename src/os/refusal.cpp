// SPDX-License-Identifier: Apache-2.0

// A kernel that refuses, as an exception.
#include "os/refusal.hpp"

#include <cerrno>
#include <string>

#include <portolan/error.hpp>

namespace portolan::os {

void throw_refusal(std::error_code code, std::string_view call, std::string_view object,
                   std::string_view cure) {
  std::string message(call);
  if (!object.empty()) message.append("(\"").append(object).append("\")");
  message.append(": ").append(code.message());
  if (!cure.empty()) message.append("; ").append(cure);
  throw PortError(code, message);
}

bool is_shortage() noexcept {
  return errno == ENOMEM || errno == ENOBUFS || errno == EINTR;
}

std::error_code last_error() noexcept {
  return {errno, std::generic_category()};
}

}  // namespace portolan::os
