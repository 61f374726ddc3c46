// SPDX-License-Identifier: Apache-2.0

// Whether a class has a `serialize`, asked before Boost's templates are, whose complaint names no cure.
#pragma once

#include <boost/serialization/serialization.hpp>
#include <type_traits>

namespace portolan {
inline namespace v1 {

/// No namespace of an archive: what stands here takes part in no call of Boost's.
namespace serialize_search {

/// As general as Boost's own, which is what a call finds that finds no other: with this one it is ambiguous.
template <class Archive, class T>
void serialize(Archive& archive, T& value, const unsigned version);

/// A function of the user's, or of one of Boost's headers: found as Boost finds it, in the namespaces of T,
/// of the archive and of Boost.Serialization.
template <class T, class Archive>
inline constexpr bool is_free = requires(T& value, Archive& archive,
                                         const boost::serialization::version_type version) {
  serialize(archive, value, version);
};

struct Name {
  int serialize;
};
/// A name that both bases have is found in neither, whoever may use it.
template <class T>
struct WithName : T, Name {};

/// A member, also a private one to which boost::serialization::access is a friend, or one of a base.
template <class T>
inline constexpr bool is_member = !requires {
  &WithName<T>::serialize;
};

/// False where it certainly is not. Not asked of what cannot be a base, or cannot with certainty.
template <class T, class Archive>
constexpr bool may_be_there() {
  if constexpr (is_free<T, Archive> || !std::is_class_v<T> || std::is_final_v<T> ||
                std::is_polymorphic_v<T> || !std::is_destructible_v<T>)
    return true;
  else
    return is_member<T>;
}

}  // namespace serialize_search
}  // namespace v1
}  // namespace portolan
