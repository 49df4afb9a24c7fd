# Builds libFuzzer targets with AddressSanitizer, by hand rather than as targets of Package.swift: every module in one has to be
# instrumented. scripts/fuzz.sh calls it:
#
#   make -f Fuzzing/build.mk -j 2 ROOT=(this package) BUILD=(a folder) (BUILD)/trace-fuzzer …

yaml := $(ROOT)/.build/checkouts/Yams/Sources
sanitized := -O -sanitize=fuzzer,address -parse-as-library
language := -swift-version 6 -enable-upcoming-feature ExistentialAny -enable-upcoming-feature InternalImportsByDefault \
	-enable-upcoming-feature MemberImportVisibility -enable-experimental-feature Lifetimes
headers := $(foreach library,CZlib CZstd CProtobufC CSQLite,-Xcc -fmodule-map-file=$(ROOT)/Sources/$(library)/module.modulemap) \
	-Xcc -fmodule-map-file=$(ROOT)/Sources/COTLP/include/module.modulemap -Xcc -I$(ROOT)/Sources/COTLP/include \
	-Xcc -I$(yaml)/CYaml/include
ours := $(sanitized) $(language) -package-name fusebox -I $(BUILD) $(headers) -wmo
libraries := -lprotobuf-c -lz -lzstd -lsqlite3
objects := $(BUILD)/objects
clang := clang -O2 -w -fsanitize=address,fuzzer-no-link

.DELETE_ON_ERROR:
.SECONDARY:
$(shell mkdir -p $(objects) $(BUILD)/http)

swift_files = $(shell find $(1) -name '*.swift')
sources_TelemetryTesting := $(call swift_files,$(ROOT)/Tests/TelemetryTesting)
# Of forwarding only the values that the configuration makes: the rest is on NIO, and the configuration does not run it.
sources_OutboundHTTP := $(ROOT)/Sources/OutboundHTTP/OutboundMessages.swift
sources_Forwarding := $(ROOT)/Sources/Forwarding/ForwardPlan.swift
# Files that SwiftPM embeds, as scripts/fuzz.sh wrote them down.
embedded_SemanticColumns := $(BUILD)/PackageResources-SemanticColumns.swift
embedded_Evals := $(BUILD)/PackageResources-Evals.swift
embedded_SpanStore := $(BUILD)/PackageResources-SpanStore.swift
embedded_StoreSQL := $(BUILD)/PackageResources-StoreSQL.swift
sources = $(or $(sources_$(1)),$(call swift_files,$(ROOT)/Sources/$(1))) $(embedded_$(1))

# Modules, what they use, and flags of their own. A module uses what its files import: a list beside Package.swift would fall behind it.
# Reports is only there for the configuration, which does not run it.
modules := TelemetryTesting $(sort $(shell cd $(ROOT)/Sources && find * -name '*.swift' | cut -d / -f 1))
flags_TelemetryTesting := -enable-testing
flags_Reports := -Onone
imported = $(filter $(modules) COTLP Yams,$(sort $(shell sed -nE 's/^(@testable )?(package |internal |public )?import ([A-Za-z]+)$$/\3/p' $(1))))
$(foreach name,$(modules),$(eval uses_$(name) := $(call imported,$(call sources,$(name)))))

# A module's object and its interface.
define module
$(objects)/$(1).o: $(call sources,$(1)) $(uses_$(1):%=$(objects)/%.o)
	swiftc $(ours) $(flags_$(1)) -module-name $(1) -emit-module -emit-module-path $(BUILD)/$(1).swiftmodule \
		-c -o $$@ $$(filter %.swift,$$^)
endef
$(foreach name,$(modules),$(eval $(call module,$(name))))

# Messages in C, all in one object.
$(objects)/COTLP.o: $(shell find $(ROOT)/Sources/COTLP -name '*.c')
	for file in $^; do $(clang) -I $(ROOT)/Sources/COTLP/include -c $$file -o $(BUILD)/cotlp-$$(basename $$file).o || exit; done
	ld -r -o $@ $(BUILD)/cotlp-*.o

# Yams is not ours: in its own language, and told that it is a package, as it asks.
$(objects)/Yams.o: $(wildcard $(yaml)/Yams/*.swift $(yaml)/CYaml/src/*.c)
	for file in $(yaml)/CYaml/src/*.c; do \
		$(clang) -I $(yaml)/CYaml/include -DYAML_DECLARE_EXPORT -c $$file -o $(BUILD)/cyaml-$$(basename $$file).o || exit; \
	done
	swiftc $(sanitized) -DSWIFT_PACKAGE -I $(BUILD) -Xcc -I$(yaml)/CYaml/include -wmo -module-name Yams -emit-module \
		-emit-module-path $(BUILD)/Yams.swiftmodule -c -o $(BUILD)/yams-swift.o $(yaml)/Yams/*.swift
	ld -r -o $@ $(BUILD)/yams-swift.o $(BUILD)/cyaml-*.o

# Fuzzers: the file that each is written in, and files of the tests that it shares.
compared := $(addprefix $(ROOT)/Tests/OTLPTests/,BatchContent.swift ComparableSpan.swift RepeatedMessages.swift)
file_trace := TraceFuzzer
shares_trace := $(compared)
file_json := JSONFuzzer
shares_json := $(compared)
file_signal := SignalFuzzer
shares_signal := $(compared) $(ROOT)/Tests/OTLPTests/ComparableLog.swift
file_redaction := RedactionFuzzer
file_encodings := EncodingFuzzer
file_sql := SQLFuzzer
file_configuration := ConfigurationFuzzer
file_evals := EvalFuzzer

$(foreach name,$(patsubst file_%,%,$(filter file_%,$(.VARIABLES))),$(eval \
	uses_$(name) := $(call imported,$(ROOT)/Fuzzing/$(file_$(name)).swift $(shares_$(name)))))

# Names, and all that they use.
closure = $(sort $(1) $(foreach name,$(1),$(call closure,$(uses_$(name)))))

define fuzzer
$(BUILD)/$(1)-fuzzer: $(ROOT)/Fuzzing/$(file_$(1)).swift $(shares_$(1)) $(patsubst %,$(objects)/%.o,$(call closure,$(uses_$(1))))
	swiftc $(ours) -module-name $(file_$(1)) -c -o $(BUILD)/$(1).o $$(filter %.swift,$$^)
	swiftc -sanitize=fuzzer,address -o $$@ $(BUILD)/$(1).o $$(filter %.o,$$^) $(libraries)
endef
$(foreach name,$(patsubst file_%,%,$(filter file_%,$(.VARIABLES))),$(eval $(call fuzzer,$(name))))

# FuseboxHTTP and the parser of HTTP/1.1, instrumented, on the modules of the release build.
release := $(ROOT)/.build/release
parser := $(ROOT)/.build/checkouts/swift-nio/Sources/CNIOLLHTTP
package := $(shell basename $(ROOT) | tr '[:upper:]' '[:lower:]')
# Where the release's objects say that Swift's own libraries are (scripts/release.sh).
runtime := $(if $(filter Linux,$(shell uname)),-static-stdlib)
# Where C modules are, as the release build tells its compiler.
maps = $(shell sed -n '/"C.FuseboxHTTP-.*-release.module":/,/args:/p' $(ROOT)/.build/release.yaml | grep -o '"-Xcc","[^"]*"' | tr ',' ' ' | tr -d '"')

$(BUILD)/http-fuzzer: $(ROOT)/Fuzzing/HTTPFuzzer.swift $(call swift_files,$(ROOT)/Sources/FuseboxHTTP) $(release)/fusebox
	for file in $(parser)/*.c; do \
		$(clang) -D_GNU_SOURCE -DLLHTTP_STRICT_MODE -I $(parser)/include -c $$file -o $(BUILD)/http/$$(basename $$file).o || exit; \
	done
	swiftc $(sanitized) $(language) $(maps) -package-name $(package) -enable-testing -wmo -I $(release)/Modules \
		-module-name FuseboxHTTP -emit-module -emit-module-path $(BUILD)/http/FuseboxHTTP.swiftmodule -c \
		-o $(BUILD)/http/FuseboxHTTP.o $(call swift_files,$(ROOT)/Sources/FuseboxHTTP)
	swiftc $(sanitized) $(language) $(maps) -package-name $(package) -wmo -I $(BUILD)/http -I $(release)/Modules \
		-module-name HTTPFuzzer -c -o $(BUILD)/http/HTTPFuzzer.o $<
	grep -v -e /fusebox.build/ -e /FuseboxHTTP.build/ -e /FuseboxGRPC.build/ -e /Gateway.build/ -e /CNIOLLHTTP.build/ \
		$(release)/fusebox.product/Objects.LinkFileList >$(BUILD)/http/release-objects
	cd $(BUILD)/http && swiftc -use-ld=lld -sanitize=fuzzer,address $(runtime) -o $@ *.o @release-objects $(libraries)
