// SPDX-License-Identifier: Apache-2.0

#include "inspect/shown_text.hpp"

#include <cstdint>
#include <iterator>
#include <utf8cpp/utf8/checked.h>

namespace portolan::inspect {

std::string shown_text(std::string_view text) {
  std::string valid, shown;
  utf8::replace_invalid(text.begin(), text.end(), std::back_inserter(valid), U'?');
  for (auto at = valid.begin(); at != valid.end();) {
    const std::uint32_t letter = utf8::next(at, valid.end());
    // C0, DEL and C1 steer terminals; the others turn or hide text.
    const bool steers = letter < 0x20 || (letter >= 0x7f && letter < 0xa0) ||
                        (letter >= 0x200b && letter <= 0x200f) || (letter >= 0x2028 && letter <= 0x202e) ||
                        (letter >= 0x2060 && letter <= 0x206f) || letter == 0xfeff;
    utf8::append(steers ? std::uint32_t{'?'} : letter, std::back_inserter(shown));
  }
  return shown;
}

}  // namespace portolan::inspect
