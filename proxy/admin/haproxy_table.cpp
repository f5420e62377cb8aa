#include "proxy/admin/haproxy_table.hpp"

#include <algorithm>
#include <boost/json.hpp>
#include <charconv>

#include "proxy/admin/text.hpp"

namespace fairlead::proxy {

namespace {

using std::chrono::duration_cast;
using std::chrono::seconds;

constexpr std::string_view column_list =
    "pxname,svname,qcur,qmax,scur,smax,slim,stot,bin,bout,dreq,dresp,ereq,econ,eresp,wretr,wredis,status,"
    "weight,act,bck,chkfail,chkdown,lastchg,downtime,qlimit,pid,iid,sid,throttle,lbtot,tracked,type,rate,"
    "rate_lim,rate_max,check_status,check_code,check_duration,hrsp_1xx,hrsp_2xx,hrsp_3xx,hrsp_4xx,hrsp_5xx,"
    "hrsp_other,hanafail,req_rate,req_rate_max,req_tot,cli_abrt,srv_abrt,comp_in,comp_out,comp_byp,comp_rsp,"
    "lastsess,last_chk,last_agt,qtime,ctime,rtime,ttime,agent_status,agent_code,agent_duration,check_desc,"
    "agent_desc,check_rise,check_fall,check_health,agent_rise,agent_fall,agent_health,addr,cookie,mode,algo,"
    "conn_rate,conn_rate_max,conn_tot,intercepted,dcon,dses,wrew,connect,reuse,cache_lookups,cache_hits,"
    "srv_icur,src_ilim,qtime_max,ctime_max,rtime_max,ttime_max,eint,idle_conn_cur,safe_conn_cur,"
    "used_conn_cur,need_conn_est,uweight,agg_server_status,agg_server_check_status,agg_check_status";

constexpr std::string_view proxy_name = "redis";

std::size_t column_index(std::string_view name) {
  const auto& columns = haproxy_columns();
  return static_cast<std::size_t>(std::find(columns.begin(), columns.end(), name) - columns.begin());
}

/// Writes one row by the names of its columns.
class RowWriter {
 public:
  RowWriter(std::string kind, std::string_view svname, int type) {
    row_.kind = std::move(kind);
    row_.values.resize(haproxy_columns().size());
    set("pxname", proxy_name);
    set("svname", svname);
    set("pid", 1);
    set("iid", 2);
    set("type", type);
    set("mode", "tcp");
  }
  void set(std::string_view column, std::string_view value) {
    row_.values.at(column_index(column)) = std::string(value);
  }
  template <typename Number>
  requires std::is_integral_v<Number>
  void set(std::string_view column, Number value) { set(column, std::to_string(value)); }
  void set_level(std::string_view now, std::string_view max, const Level& level) {
    set(now, level.now);
    set(max, level.max);
  }
  [[nodiscard]] HaproxyRow take() { return std::move(row_); }

 private:
  HaproxyRow row_;
};

HaproxyRow frontend(const AdminSnapshot& s) {
  RowWriter row("Frontend", "FRONTEND", 0);
  const engine::Stats& total = s.total;
  row.set("sid", 0);
  row.set_level("scur", "smax", s.clients);
  row.set("slim", s.clients_max);
  row.set("stot", total.clients_accepted);
  row.set("bin", total.client_bytes_in);
  row.set("bout", total.client_bytes_out);
  row.set("dreq", total.commands_refused);
  row.set("dresp", 0);
  row.set("ereq", total.protocol_errors);
  row.set("status", s.clients.now >= s.clients_max ? "FULL" : "OPEN");
  row.set_level("rate", "rate_max", s.clients_rate);
  row.set("rate_lim", 0);
  row.set_level("conn_rate", "conn_rate_max", s.clients_rate);
  row.set("conn_tot", total.clients_accepted + total.clients_refused);
  row.set_level("req_rate", "req_rate_max", s.commands_rate);
  row.set("req_tot", total.commands);
  row.set("intercepted", total.commands_local);
  row.set("dcon", total.clients_refused);
  row.set("dses", 0);
  return row.take();
}

std::int64_t seconds_since(health::TimePoint at, health::TimePoint now) {
  return duration_cast<seconds>(now - at).count();
}

void set_traffic(RowWriter& row, const ServerHistory& server) {
  row.set_level("scur", "smax", server.links);
  row.set("stot", server.links_opened);
  row.set("lbtot", server.links_opened);
  row.set("bin", server.bytes_in);
  row.set("bout", server.bytes_out);
  row.set("dresp", 0);
  row.set("econ", server.links_failed);
  row.set("eresp", server.error_replies);
  row.set("wretr", server.redispatched);
  row.set_level("rate", "rate_max", server.rate);
}

enum class Going : std::uint8_t { nowhere, down };

const char* status_of(const health::ServerView& view, Going going) {
  if (view.standing == health::Standing::maint) return "MAINT";
  if (!view.reachable) return "DOWN";
  if (view.standing == health::Standing::drain) return "DRAIN";
  return going == Going::down ? "UP 1/2" : "UP";
}

HaproxyRow server_row(const AdminSnapshot& s, const health::ServerView& view, std::size_t number) {
  const health::Shard& shard = s.topology->shards.front();
  const bool is_master = shard.route && shard.route->address == view.address;
  RowWriter row("Server", resp::to_string(view.address), 2);
  row.set("sid", number);
  const auto found = s.servers.find(view.address);
  const ServerHistory history = found == s.servers.end() ? ServerHistory{} : found->second;
  set_traffic(row, history);
  row.set("qcur", is_master ? s.held.now : 0);
  row.set("qmax", is_master ? s.held.max : 0);
  row.set("wredis", 0);
  row.set("weight", 1);
  row.set("act", is_master ? 1 : 0);
  row.set("bck", is_master ? 0 : 1);
  const bool going_down = is_master && shard.state != health::GroupState::steady && view.reachable;
  row.set("status", status_of(view, going_down ? Going::down : Going::nowhere));
  row.set("check_status", view.reachable ? "L7OK" : "L4CON");
  row.set("check_desc", view.reachable ? "Layer7 check passed" : "Layer4 connection problem");
  row.set("last_chk", view.reachable ? std::string("role ") + health::to_string(view.role) : view.last_error);
  row.set("chkfail", history.downs);
  row.set("chkdown", history.downs);
  row.set("lastchg", seconds_since(history.changed_at, s.now));
  const auto down_now = view.reachable ? std::chrono::milliseconds(0)
                                       : duration_cast<std::chrono::milliseconds>(s.now - history.changed_at);
  row.set("downtime", duration_cast<seconds>(history.downtime + down_now).count());
  row.set("addr", resp::to_string(view.address));
  return row.take();
}

HaproxyRow backend(const AdminSnapshot& s) {
  RowWriter row("Backend", "BACKEND", 1);
  ServerHistory all;
  std::size_t reachable = 0;
  for (const auto& [address, server] : s.servers) {
    all.links_opened += server.links_opened;
    all.links_failed += server.links_failed;
    all.bytes_in += server.bytes_in;
    all.bytes_out += server.bytes_out;
    all.error_replies += server.error_replies;
    all.redispatched += server.redispatched;
    all.rate.now += server.rate.now;
    all.rate.max = std::max(all.rate.max, server.rate.max);
    reachable += server.reachable ? 1U : 0U;
  }
  all.links = s.links;
  set_traffic(row, all);
  const bool steady = s.topology && s.topology->shards.front().state == health::GroupState::steady;
  row.set("sid", 0);
  row.set_level("qcur", "qmax", s.held);
  row.set("slim", s.leased_links_max);
  row.set("dreq", 0);
  row.set("wredis", s.failovers);
  row.set("status", steady ? "UP" : "DOWN");
  row.set("weight", steady ? 1 : 0);
  row.set("act", steady ? 1 : 0);
  row.set("bck", reachable > 0 && steady ? reachable - 1 : reachable);
  row.set("chkdown", s.outages.empty() ? 0 : s.outages.front().id);
  const health::TimePoint since = s.topology && s.topology->shards.front().route
                                      ? s.topology->shards.front().route->since
                                      : health::TimePoint{s.now};
  const bool under_way = !s.outages.empty() && s.outages.front().ongoing;
  row.set("lastchg", under_way ? duration_cast<seconds>(s.taken - s.outages.front().detected).count()
                               : seconds_since(since, s.now));
  std::chrono::milliseconds down{0};
  for (const Outage& outage : s.outages) {
    if (!outage.ongoing) down += outage.until_released;
  }
  row.set("downtime", duration_cast<seconds>(down).count());
  return row.take();
}

bool is_down(const HaproxyRow& row) {
  return row.kind == "Server" && row.at("status") == "DOWN";
}

/// HAProxy quotes a field that holds a comma, a quote or an end of line (RFC 4180).
std::string csv_field(const std::string& value) {
  if (value.find_first_of(",\"\r\n") == std::string::npos) return value;
  std::string quoted = "\"";
  for (const char c : value) {
    if (c == '"') quoted += '"';
    quoted += c;
  }
  return quoted + "\"";
}

boost::json::object json_field(const HaproxyRow& row, std::size_t position) {
  const std::string& text = row.values[position];
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  const bool numeric = error == std::errc{} && end == text.data() + text.size();
  boost::json::object value;
  value["type"] = numeric ? "u64" : "str";
  if (numeric) {
    value["value"] = number;
  } else {
    value["value"] = printable(text);
  }
  boost::json::object field;
  field["objType"] = row.kind;
  field["proxyId"] = 2;
  field["id"] = row.at("sid") == "" ? 0 : std::stoi(row.at("sid"));
  field["field"] = {{"pos", position}, {"name", haproxy_columns()[position]}};
  field["processNum"] = 1;
  field["tags"] = {{"origin", position < 2 ? "Key" : "Metric"},
                   {"nature", position < 2 ? "Name"
                              : numeric    ? "Gauge"
                                           : "Output"},
                   {"scope", "Process"}};
  field["value"] = std::move(value);
  return field;
}

}  // namespace

const std::string& HaproxyRow::at(std::string_view column) const {
  return values.at(column_index(column));
}

const std::vector<std::string_view>& haproxy_columns() {
  static const std::vector<std::string_view> columns = [] {
    std::vector<std::string_view> all;
    std::string_view rest = column_list;
    while (true) {
      const std::size_t comma = rest.find(',');
      all.push_back(rest.substr(0, comma));
      if (comma == std::string_view::npos) return all;
      rest.remove_prefix(comma + 1);
    }
  }();
  return columns;
}

std::vector<HaproxyRow> haproxy_rows(const AdminSnapshot& snapshot) {
  std::vector<HaproxyRow> rows;
  rows.push_back(frontend(snapshot));
  if (snapshot.topology) {
    std::size_t number = 1;
    for (const health::ServerView& view : snapshot.topology->shards.front().servers) {
      rows.push_back(server_row(snapshot, view, number++));
    }
  }
  rows.push_back(backend(snapshot));
  return rows;
}

std::string haproxy_csv(const AdminSnapshot& snapshot, DownServers down) {
  std::string text = "# " + std::string(column_list) + ",\n";
  for (const HaproxyRow& row : haproxy_rows(snapshot)) {
    if (down == DownServers::hidden && is_down(row)) continue;
    for (const std::string& value : row.values) text += csv_field(value) + ",";
    text += '\n';
  }
  return text;
}

std::string haproxy_json(const AdminSnapshot& snapshot, DownServers down) {
  boost::json::array all;
  for (const HaproxyRow& row : haproxy_rows(snapshot)) {
    if (down == DownServers::hidden && is_down(row)) continue;
    boost::json::array fields;
    for (std::size_t i = 0; i < row.values.size(); ++i) {
      if (!row.values[i].empty()) fields.push_back(json_field(row, i));
    }
    all.push_back(std::move(fields));
  }
  return boost::json::serialize(all) + "\n";
}

}  // namespace fairlead::proxy
