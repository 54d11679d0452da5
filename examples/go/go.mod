module example.com/stepmill/produce

go 1.24

require (
	github.com/hamba/avro/v2 v2.31.0
	github.com/twmb/franz-go v1.22.2
)
