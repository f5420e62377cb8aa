#include "proxy/engine/client_line.hpp"

#include <concepts>

namespace fairlead::engine {

namespace {

/// In Redis' order.
void append_flags(std::string& out, const ClientFacts& facts) {
  const std::size_t before = out.size();
  if (facts.replica) out += 'S';
  if (facts.monitor) out += 'O';
  if (facts.channels + facts.patterns + facts.shard_channels > 0) out += 'P';
  if (facts.in_multi) out += 'x';
  if (facts.blocked) out += 'b';
  if (facts.tracking) out += 't';
  if (facts.watch_failed) out += 'd';
  if (facts.closing) out += 'c';
  if (facts.names.is_unix) out += 'U';
  if (facts.no_evict) out += 'e';
  if (out.size() == before) out += 'N';
}

void field(std::string& out, std::string_view name, std::string_view value) {
  if (name != "id") out += ' ';
  out.append(name).append("=").append(value);
}

void field(std::string& out, std::string_view name, std::integral auto value) {
  field(out, name, std::string_view(std::to_string(value)));
}

}  // namespace

void append_client_line(std::string& out, const ClientFacts& facts) {
  field(out, "id", facts.id);
  field(out, "addr", facts.names.address);
  field(out, "laddr", facts.names.local_address);
  field(out, "fd", facts.names.descriptor);
  field(out, "name", facts.name);
  field(out, "age", facts.age_s);
  field(out, "idle", facts.idle_s);
  out += " flags=";
  append_flags(out, facts);
  field(out, "db", facts.db);
  field(out, "sub", facts.channels);
  field(out, "psub", facts.patterns);
  field(out, "ssub", facts.shard_channels);
  field(out, "multi", facts.queued);
  field(out, "qbuf", facts.query_bytes);
  field(out, "qbuf-free", facts.query_bytes_free);
  field(out, "argv-mem", facts.argument_bytes);
  field(out, "multi-mem", 0);  // queued commands wait in the server
  field(out, "rbs", 0);        // there is no buffer of fixed size for replies,
  field(out, "rbp", 0);        // nor a peak of it,
  field(out, "obl", 0);        // nor anything in it: all lies in the list
  field(out, "oll", facts.reply_pieces);
  field(out, "omem", facts.reply_bytes);
  field(out, "tot-mem", facts.memory_bytes);
  out += " events=";
  if (facts.reads) out += 'r';
  if (facts.waits_to_write) out += 'w';
  field(out, "cmd", facts.command);
  field(out, "user", facts.user);
  field(out, "redir", facts.tracking ? facts.redirect : -1);
  field(out, "resp", static_cast<int>(facts.version));
  out += '\n';
}

}  // namespace fairlead::engine
