// Encoders: commands for servers, replies for clients. They append to a std::string that the caller reuses.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>

#include "resp/command_reader.hpp"
#include "resp/types.hpp"

namespace fairlead::resp {

/// A command in canonical multibulk form.
void append_command(std::string& out, std::initializer_list<std::string_view> args);
void append_command(std::string& out, std::span<const std::string> args);
void append_command(std::string& out, const CommandView& command);

void append_simple(std::string& out, std::string_view text);    // +text
void append_error(std::string& out, std::string_view text);     // -text; CR and LF become spaces
void append_integer(std::string& out, std::int64_t number);     // :n
void append_bulk(std::string& out, std::string_view text);      // $n
void append_null(std::string& out, Version version);            // $-1 or _
void append_null_array(std::string& out, Version version);      // *-1 or _
void append_array_header(std::string& out, std::size_t count);  // *n
void append_map_header(std::string& out, std::size_t pairs, Version version);   // %n or *2n
void append_set_header(std::string& out, std::size_t count, Version version);   // ~n or *n
void append_push_header(std::string& out, std::size_t count, Version version);  // >n or *n
void append_boolean(std::string& out, bool yes, Version version);               // #t or :1
void append_double(std::string& out, double number, Version version);           // ,x or $n
/// RESP3 verbatim string of format `txt`, a bulk string in RESP2.
void append_verbatim(std::string& out, std::string_view text, Version version);

}  // namespace fairlead::resp
