// SPDX-License-Identifier: Apache-2.0

#include "names/introduction.hpp"

#include "os/user_database.hpp"

namespace portolan::names {

std::string inspect(Introduction& introduction, std::uint32_t own_uid) {
  const port::Parcel announced = {{},
                                  {},
                                  introduction.parcel.channel,
                                  introduction.parcel.side,
                                  introduction.parcel.trust,
                                  introduction.parcel.expected_generation,
                                  introduction.parcel.segment_bytes};
  std::string wrong = port::inspect_parcel(introduction.parcel, 0);
  if (wrong.empty()) wrong = port::read_header(introduction.parcel);
  if (wrong.empty() && port::describe(introduction.parcel) != port::describe(announced))
    wrong = "its segment is another one than was announced";
  if (wrong.empty() && introduction.parcel.trust == Trust::same_user &&
      !os::same_uid(introduction.peer.uid, own_uid))
    wrong = "its channel has Trust::same_user, and the kernel says that uid " +
            std::to_string(introduction.peer.uid) + " is another one";
  return wrong;
}

void turn_away(Introduction& introduction, std::uint32_t own_uid) noexcept {
  if (inspect(introduction, own_uid).empty()) port::close_parcel(introduction.parcel, CloseReason::closed);
}

}  // namespace portolan::names
