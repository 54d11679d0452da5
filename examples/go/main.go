// Sends one task to Stepmill (franz-go, hamba/avro).
//
//	go mod tidy && go run . orders my-session "Order o-9001: 1 x SKU-7 to 1 Elm Street"
//
// Environment: KAFKA (127.0.0.1:29092), REGISTRY (http://127.0.0.1:28081/apis/ccompat/v7).
package main

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"log"
	"net/http"
	"os"
	"time"

	"github.com/hamba/avro/v2"
	"github.com/twmb/franz-go/pkg/kgo"
)

// The seven fields every writer knows; the others have defaults.
type task struct {
	TaskID      string            `avro:"task_id"`
	SourceAgent string            `avro:"source_agent"`
	TargetAgent string            `avro:"target_agent"`
	SessionID   string            `avro:"session_id"`
	Prompt      string            `avro:"prompt"`
	Context     map[string]string `avro:"context"`
	CreatedAt   time.Time         `avro:"created_at"`
	MaxSteps    *int              `avro:"max_steps"`
	TokenBudget *int              `avro:"token_budget"`
	DeadlineAt  *time.Time        `avro:"deadline_at"`
	ParentID    *string           `avro:"parent_task_id"`
}

func env(name, otherwise string) string {
	if v := os.Getenv(name); v != "" {
		return v
	}
	return otherwise
}

// latest asks the registry for the schema that `stepmill schemas register` put there.
func latest(topic string) (uint32, avro.Schema, error) {
	base := env("REGISTRY", "http://127.0.0.1:28081/apis/ccompat/v7")
	answer, err := http.Get(base + "/subjects/" + topic + "-value/versions/latest")
	if err != nil {
		return 0, nil, err
	}
	defer answer.Body.Close()
	var version struct {
		ID     uint32
		Schema string
	}
	if answer.StatusCode != 200 {
		return 0, nil, fmt.Errorf("registry: %s; run: stepmill schemas register", answer.Status)
	}
	if err := json.NewDecoder(answer.Body).Decode(&version); err != nil {
		return 0, nil, err
	}
	schema, err := avro.Parse(version.Schema)
	return version.ID, schema, err
}

func main() {
	if len(os.Args) != 4 {
		log.Fatal("usage: go run . AGENT SESSION PROMPT")
	}
	topic := "agent.tasks." + os.Args[1]
	id, schema, err := latest(topic)
	if err != nil {
		log.Fatal(err)
	}
	taskID := rand.Text()
	body, err := avro.Marshal(schema, task{TaskID: taskID, SourceAgent: "example", TargetAgent: os.Args[1], SessionID: os.Args[2],
		Prompt: os.Args[3], Context: map[string]string{}, CreatedAt: time.Now()})
	if err != nil {
		log.Fatal(err)
	}
	value := append(binary.BigEndian.AppendUint32([]byte{0}, id), body...) // Confluent wire format
	client, err := kgo.NewClient(kgo.SeedBrokers(env("KAFKA", "127.0.0.1:29092")))
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	record := &kgo.Record{Topic: topic, Key: []byte(os.Args[2]), Value: value}
	if err := client.ProduceSync(context.Background(), record).FirstErr(); err != nil {
		log.Fatal(err)
	}
	fmt.Println("sent", taskID, "to", topic, record.Partition, record.Offset)
}
