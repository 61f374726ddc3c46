// SPDX-License-Identifier: Apache-2.0

// Files that people write for the broker: lines of words, `#` begins a remark.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace portolan::broker {

/// Throws PortError, naming the file, if it cannot be read or is larger than a megabyte.
[[nodiscard]] std::string read_configuration(const std::string& file);

/// Numbered from 1, without remarks; also the empty ones.
void for_each_line(std::string_view text, const std::function<void(std::size_t, std::string_view)>& call);
[[nodiscard]] std::vector<std::string_view> words_of(std::string_view line);

/// Throws PortError (invalid_argument): `FILE:LINE: what`.
[[noreturn]] void refuse_text(const std::string& where, const std::string& what);

}  // namespace portolan::broker
