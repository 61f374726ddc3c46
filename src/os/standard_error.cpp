// SPDX-License-Identifier: Apache-2.0

#include "os/standard_error.hpp"

#include <unistd.h>

namespace portolan::os {

void write_to_standard_error(std::string_view text) noexcept {
  const ssize_t written = ::write(STDERR_FILENO, text.data(), text.size());
  static_cast<void>(written);
}

}  // namespace portolan::os
