#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Types that must not compile, each with the sentence that the compiler must show for it. The first program of the
list is a right one: it shows that the others fail for their own reason.

usage: refused_types.py COMPILER INCLUDE_DIRECTORY
"""
import concurrent.futures
import os
import subprocess
import sys

HEAD = """
#include <span>
#include <string>
#include <string_view>
#include <vector>
#include <portolan/{header}.hpp>
#include <boost/serialization/nvp.hpp>
struct Point {{ int x = 0; template <class A> void serialize(A& a, unsigned) {{ a & x; }} }};
struct WithPointer {{ int* p = nullptr; template <class A> void serialize(A& a, unsigned) {{ a & p; }} }};
struct WithView {{ std::string_view v; template <class A> void serialize(A& a, unsigned) {{ a & v; }} }};
struct WithSpan {{ std::span<int> s; template <class A> void serialize(A& a, unsigned) {{ a & s; }} }};
struct NotPlain {{ std::string s; }};
struct NoDefault {{ explicit NoDefault(int) {{}} template <class A> void serialize(A&, unsigned) {{}} }};
template <> inline constexpr bool portolan::is_plain<NotPlain> = true;
struct Animal {{ virtual ~Animal() = default; template <class A> void serialize(A&, unsigned) {{}} }};
struct Dog : Animal {{}};
struct Plant {{ virtual ~Plant() = default; template <class A> void serialize(A&, unsigned) {{}} }};
struct Bare {{ virtual void grow() {{}} template <class A> void serialize(A&, unsigned) {{}} }};
struct Forgotten {{ int x = 0; std::string s; }};
struct Holds {{ std::vector<Forgotten> all; template <class A> void serialize(A& a, unsigned) {{ a & all; }} }};
class Hidden {{
  friend class boost::serialization::access;
  int x = 0;
  template <class A> void serialize(A& a, unsigned) {{ a & x; }}
}};
struct Heir : Hidden {{}};
class Last final {{
  friend class boost::serialization::access;
  template <class A> void serialize(A&, unsigned) {{}}
}};
namespace elsewhere {{ struct Free {{}}; struct Later {{}}; }}
namespace elsewhere {{ template <class A> void serialize(A&, Free&, const unsigned) {{}} }}
struct Foreign {{ int x = 0; }};
namespace boost::serialization {{ template <class A> void serialize(A& a, Foreign& f, const unsigned) {{ a & f.x; }} }}
{registered}
void post(portolan::Sink& sink, portolan::Source& source) {{ (void)sink; (void)source; {statement} }}
namespace elsewhere {{ template <class A> void serialize(A&, Later&, const unsigned) {{}} }}
"""

REGISTERED = """
template <> struct portolan::derived_of<Animal> : portolan::types<Dog> {};
template <> struct portolan::derived_of<Plant> : portolan::types<Dog> {};
"""

FORGOTTEN = "this class has no `serialize`: give it template <class Archive>"

# (header, statement, sentence), no sentence where the program is right
PROGRAMS = [
    ("values", "portolan::encode(Point(), sink); portolan::decode<Point>(source);", None),
    ("codec", "portolan::encode(5, sink); portolan::decode<std::string>(source);", None),
    ("codec", "portolan::encode(Point(), sink);", "posting this type needs #include <portolan/values.hpp>"),
    ("codec", "portolan::decode<Point>(source);", "reading this type needs #include <portolan/values.hpp>"),
    ("codec", "int i = 0; portolan::encode(&i, sink);", "a raw pointer means nothing in another process"),
    ("codec", "portolan::encode(nullptr, sink);", "a raw pointer means nothing in another process"),
    ("codec", "portolan::encode(post, sink);", "a function means nothing in another process"),
    ("codec", "portolan::encode(NotPlain(), sink);", "is_plain<T> is only for trivially copyable types"),
    ("codec", "portolan::decode<std::string_view>(source);", "a view would outlive the message"),
    ("codec", "portolan::decode<std::span<const std::byte>>(source);", "a view would outlive the message"),
    ("values", "portolan::encode(Forgotten(), sink);", FORGOTTEN),
    ("values", "portolan::decode<Forgotten>(source);", FORGOTTEN),
    ("values", "portolan::encode(Holds(), sink);", FORGOTTEN),
    *(("values", f"portolan::encode({each}(), sink); portolan::decode<{each}>(source);", None)
      for each in ("Hidden", "Heir", "Last", "elsewhere::Free", "elsewhere::Later", "Foreign")),
    ("values", "portolan::encode(WithPointer(), sink);", "a raw pointer inside a value"),
    ("values", "portolan::decode<WithPointer>(source);", "a raw pointer inside a value"),
    ("values", "portolan::encode(WithView(), sink);", "has no owner where it is read: use std::string"),
    ("values", "portolan::encode(WithSpan(), sink);", "has no owner where it is read: use std::vector"),
    ("values", "portolan::encode(std::unique_ptr<Animal>(), sink);", None),
    ("values", "portolan::encode(std::unique_ptr<Plant>(), sink);", "lists a class that is not derived"),
    ("values", "portolan::decode<std::shared_ptr<Plant>>(source);", "lists a class that is not derived"),
    ("values", "portolan::encode(std::unique_ptr<Bare>(), sink);", "deletes through its virtual destructor"),
    ("values", "portolan::decode<NoDefault>(source);", "a value is first made, then read"),
    ("values", "portolan::decode<std::vector<NoDefault>>(source);", "elements are first made, then read"),
    ("port", "portolan::SharedBuffer buffer; portolan::Transferable{buffer};", None),
    ("port", "portolan::BufferView view; portolan::Transferable{view};", "deleted"),
    ("port", "auto bytes = portolan::SharedBuffer().bytes();", "deleted"),
    *(("port", f"{each} given; portolan::TransferList{{std::move(given)}};", "name it without std::move()")
      for each in ("portolan::MessagePort", "portolan::SharedBuffer", "portolan::FileDescriptor")),
    ("port", "portolan::MessagePort port; portolan::MessagePort other; "
             "port.post_message(1, {.transfer = {std::move(other)}});", "name it without std::move()"),
    ("port", "portolan::MessagePort port; port.on_message([](int) {});", "for a T say on_message<T>()"),
    ("port", "portolan::MessagePort port; port.on_message([](portolan::MessageEvent&) {}); port.on_message([] {}); "
             "port.on_message<int>([](int) {}); port.on_message(nullptr);", None),
    ("port", "portolan::Reply().on_reply([](int) {});", "say on_reply<T>()"),
    ("port", "auto bytes = portolan::BufferView().bytes();", "deleted"),
]


def complaint(compiler, include, program):
    header, statement, sentence = program
    result = subprocess.run(
        [compiler, "-std=c++20", "-fsyntax-only", "-I", include, "-x", "c++", "-"],
        input=HEAD.format(header=header, statement=statement, registered=REGISTERED if header == "values" else ""), capture_output=True, text=True, check=False)
    if sentence is None:
        return result.returncode and f"does not compile: {statement}\n{result.stderr[:2000]}"
    if result.returncode == 0:
        return f"compiles: {statement}"
    return sentence not in result.stderr and f"no word of '{sentence}': {statement}\n{result.stderr[:2000]}"


def main(compiler, include):
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        complaints = [text for text in pool.map(lambda program: complaint(compiler, include, program), PROGRAMS) if text]
    print(*complaints, f"{len(PROGRAMS)} programs, {len(complaints)} complaints", sep="\n")
    return len(complaints) != 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
