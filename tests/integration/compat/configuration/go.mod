module configuration

go 1.25.0

require (
	github.com/distribution/distribution/v3 v3.1.1
	github.com/docker/distribution v2.8.3+incompatible
	github.com/sirupsen/logrus v1.9.4
)

require (
	golang.org/x/sys v0.42.0 // indirect
	gopkg.in/yaml.v2 v2.4.0 // indirect
)
