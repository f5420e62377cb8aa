# Configuration, command line, log and the stats listener, relative to proxy/. The program itself adds
# FAIRLEAD_MAIN_SOURCES, which need the server and the demo too.
set(FAIRLEAD_CONFIG_SOURCES
  config.cpp config_check.cpp config_option.cpp config_option_kinds.cpp config_source.cpp config_suggest.cpp
  config_toml.cpp config_value.cpp
  reload.cpp state_file.cpp
  command_line.cpp command_config.cpp command_version.cpp
  log.cpp log_format.cpp log_repeat.cpp
  admin/http_listener.cpp admin/http_login.cpp admin/http_server.cpp admin/http_session.cpp admin/http_types.cpp admin/routes.cpp)
set(FAIRLEAD_MAIN_SOURCES main.cpp command_run.cpp command_check.cpp command_keepalived.cpp command_top.cpp check_probe.cpp)

set_source_files_properties(command_version.cpp PROPERTIES COMPILE_DEFINITIONS
  "FAIRLEAD_VERSION=\"${PROJECT_VERSION}\";FAIRLEAD_BUILD_TYPE=\"${CMAKE_BUILD_TYPE}\"")
