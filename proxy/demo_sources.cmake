# The demo's sources, relative to proxy/.
set(FAIRLEAD_DEMO_SOURCES demo.cpp demo_servers.cpp loopback.cpp child_process.cpp)
