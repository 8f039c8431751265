# Deployment by ssh and rsync, without sudo. Everything else is in package.json's scripts.
#
#   make deploy HOST=user@host [SSH_OPTIONS='-p 2222 -i KEY'] [REMOTE_NODE=/path/there/node]
#   make rollback|status|logs|undeploy HOST=user@host
#
# docs/operations.md says what each of them does.

HOST ?=
SSH_OPTIONS ?=
REMOTE_NODE ?=
export SSH_OPTIONS REMOTE_NODE

.PHONY: help build deploy rollback status logs undeploy

help:
	@sed -n '3,6s/^# \{0,1\}//p' Makefile

node_modules: package-lock.json
	npm ci
	@touch node_modules

build: | node_modules
	npm run build

deploy: build

deploy rollback status logs undeploy:
	@sh scripts/deploy.sh $@ '$(HOST)'
